/* SPDX-License-Identifier: MIT
 *
 * How much memory and cache there is for this process.
 *
 * A container's limit belongs to a control group (cgroup), and every ancestor
 * limits its children too, so the walk goes from the process's group up to the
 * mount point and keeps the tightest. The path in /proc/self/cgroup is meant to
 * lie below the mount point, but a container often sees only a part of the
 * host's tree there, under the host's path: then the longest tail of the path
 * that exists counts, and in the end the mount point itself.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"

enum {
    SELF_CGROUP_BYTES = 8192, /* a dozen lines, as a rule far below */
    NUMBER_BYTES = 32         /* 64 bits in decimal, and a newline */
};

/* A file name that grows and shrinks at its end; ends in NUL. */
struct path {
    size_t length;
    char text[PATH_MAX];
};

/* False, with the path as it was, if it would become too long. */
static bool path_append(struct path *path, const char *text, size_t length)
{
    if (length >= sizeof path->text - path->length) {
        return false;
    }
    memcpy(path->text + path->length, text, length);
    path->length += length;
    path->text[path->length] = '\0';
    return true;
}

static void path_cut(struct path *path, size_t length)
{
    path->length = length;
    path->text[length] = '\0';
}

/* The file's text as far as it fits, ended by NUL; false if there is none. */
static bool read_text(const char *name, char *text, size_t bytes)
{
    size_t filled = 0;
    int file = open(name, O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        return false;
    }
    while (filled < bytes - 1) {
        ssize_t got = read(file, text + filled, bytes - 1 - filled);

        /* A signal does not interrupt reads of these files, so any error ends. */
        if (got <= 0) {
            break;
        }
        filled += (size_t)got;
    }
    (void)close(file);
    text[filled] = '\0';
    return filled > 0;
}

/* The decimal number at `text`, whose end goes to `end`; SIZE_MAX if there is
 * none or it does not fit. */
static size_t parse_number(const char *text, const char **end)
{
    size_t value = 0;
    bool fits = *text >= '0' && *text <= '9';

    for (; *text >= '0' && *text <= '9'; text++) {
        size_t digit = (size_t)(*text - '0');

        fits = fits && value <= (SIZE_MAX - digit) / 10;
        value = fits ? value * 10 + digit : SIZE_MAX;
    }
    *end = text;
    return fits ? value : SIZE_MAX;
}

/* The limit in a file of the group at `path`; SIZE_MAX for "max", for what is no
 * number, and for v1's "unlimited", which is the largest signed number rounded
 * down to a page. A limit of 0 is what an administrator writes to make a group
 * give its memory back; no process could live under it. */
static size_t limit_in(struct path *path, const char *file)
{
    static const uint64_t unlimited = (uint64_t)1 << 62;
    size_t length = path->length;
    char text[NUMBER_BYTES];
    const char *end = NULL;
    size_t limit = SIZE_MAX;

    if (path_append(path, file, strlen(file)) && read_text(path->text, text, sizeof text)) {
        limit = parse_number(text, &end);
        limit = *end == '\0' || *end == '\n' ? limit : SIZE_MAX;
    }
    path_cut(path, length);
    return limit == 0 || limit >= unlimited ? SIZE_MAX : limit;
}

/* Past `memory.high` a process is slowed down almost to a halt rather than
 * killed: for a heap that is a limit as good as `memory.max`. */
static size_t limit_of_group(struct path *path)
{
    size_t limit = limit_in(path, "/memory.max");

    limit = gc_min(limit, limit_in(path, "/memory.high"));
    return gc_min(limit, limit_in(path, "/memory.limit_in_bytes"));
}

/* A group outside of this namespace is shown as "/../...": not below our mount. */
static bool is_outside(const char *group, size_t length)
{
    return length >= 3 && memcmp(group, "/..", 3) == 0 && (length == 3 || group[3] == '/');
}

static bool is_directory(const char *name)
{
    struct stat status;

    return stat(name, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Appends the longest tail of `group` that is a directory below the mount point
 * `path`, or nothing. */
static void enter_group(struct path *path, const char *group, size_t length)
{
    size_t mount_length = path->length;
    const char *end = group + length;

    while (group < end) {
        if (path_append(path, group, (size_t)(end - group)) && is_directory(path->text)) {
            return;
        }
        path_cut(path, mount_length);
        const char *next = memchr(group + 1, '/', (size_t)(end - group - 1));

        group = next == NULL ? end : next;
    }
}

/* The tightest limit from `group` up to the mount point, both included. */
static size_t limit_below(const char *root, const char *mount, const char *group, size_t length)
{
    struct path path = {.length = 0};
    size_t limit = SIZE_MAX;

    if (!path_append(&path, root, strlen(root)) || !path_append(&path, mount, strlen(mount))) {
        return SIZE_MAX;
    }
    size_t mount_length = path.length;

    if (!is_outside(group, length)) {
        enter_group(&path, group, length);
    }
    while (path.length > mount_length) {
        limit = gc_min(limit, limit_of_group(&path));
        while (path.text[path.length - 1] != '/') {
            path.length--;
        }
        path_cut(&path, path.length - 1);
    }
    return gc_min(limit, limit_of_group(&path));
}

/* Whether the comma-separated list holds "memory". */
static bool has_memory(const char *list, const char *end)
{
    static const char memory[] = "memory";
    const size_t length = sizeof memory - 1;

    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma == NULL ? end : comma;

        if ((size_t)(stop - list) == length && memcmp(list, memory, length) == 0) {
            return true;
        }
        list = stop + 1;
    }
    return false;
}

/* A line is "number:controllers:group"; v2's is number 0 without controllers.
 * A system in transition mounts v2 apart from the v1 hierarchies. */
static size_t limit_of_line(const char *root, const char *line, const char *end)
{
    const char *controllers = memchr(line, ':', (size_t)(end - line));
    const char *group =
        controllers == NULL ? NULL : memchr(controllers + 1, ':', (size_t)(end - controllers - 1));

    if (group == NULL || group + 1 == end || group[1] != '/') {
        return SIZE_MAX;
    }
    controllers++;
    size_t length = (size_t)(end - group - 1);

    if (controllers == group) {
        return gc_min(limit_below(root, "/sys/fs/cgroup", group + 1, length),
                      limit_below(root, "/sys/fs/cgroup/unified", group + 1, length));
    }
    return has_memory(controllers, group)
               ? limit_below(root, "/sys/fs/cgroup/memory", group + 1, length)
               : SIZE_MAX;
}

size_t gc_os_container_limit(const char *root, const char *cgroup_text)
{
    size_t limit = SIZE_MAX;

    while (*cgroup_text != '\0') {
        const char *end = strchrnul(cgroup_text, '\n');

        limit = gc_min(limit, limit_of_line(root, cgroup_text, end));
        cgroup_text = *end == '\0' ? end : end + 1;
    }
    return limit;
}

static size_t machine_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    size_t page = gc_os_page_bytes();

    return pages <= 0 || (size_t)pages > SIZE_MAX / page ? SIZE_MAX : (size_t)pages * page;
}

size_t gc_os_memory_limit(void)
{
    char text[SELF_CGROUP_BYTES];

    /* Where /proc is not mounted the mount points still tell. */
    const char *groups =
        read_text("/proc/self/cgroup", text, sizeof text) ? text : "0::/\n1:memory:/\n";

    return gc_min(machine_bytes(), gc_os_container_limit("", groups));
}

/* The C library knows the caches of some processors only; the kernel, more. The
 * first core speaks for all; its index2 is the L2 wherever L1 is split in two. */
static size_t cache_bytes_from_kernel(void)
{
    char text[NUMBER_BYTES];
    const char *unit = NULL;

    if (!read_text("/sys/devices/system/cpu/cpu0/cache/index2/size", text, sizeof text)) {
        return 0;
    }
    size_t value = parse_number(text, &unit);
    size_t factor = *unit == 'K' ? (size_t)1 << 10 : *unit == 'M' ? (size_t)1 << 20 : 1;

    return value > SIZE_MAX / factor ? 0 : value * factor;
}

size_t gc_os_cache_bytes(void)
{
    static const size_t least = (size_t)256 << 10;
    long known = 0;

#ifdef _SC_LEVEL2_CACHE_SIZE
    known = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return gc_max(least, known > 0 ? (size_t)known : cache_bytes_from_kernel());
}
