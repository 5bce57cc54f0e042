/* SPDX-License-Identifier: MIT */
#include "heap/options.h"

#include "base/bits.h"
#include "cycle/collector.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_DEFAULT_LIMIT = 4 << 20, MOST_NURSERY = 64 << 20, DEFAULT_NURSERY = 1 << 20 };

struct choice {
    const char *name;
    unsigned value;
};

static const struct choice checks[] = {
    {"off", GC_CHECK_OFF}, {"cheap", GC_CHECK_CHEAP}, {"deep", GC_CHECK_DEEP}, {NULL, 0}};
static const struct choice stacks[] = {
    {"ambiguous", GC_STACKS_AMBIGUOUS}, {"exact", GC_STACKS_EXACT}, {NULL, 0}};
static const struct choice barriers[] = {
    {"all", GC_BARRIERS_ALL}, {"none", GC_BARRIERS_NONE}, {NULL, 0}};
static const struct choice hardens[] = {{"off", GC_HARDEN_OFF}, {"on", GC_HARDEN_ON}, {NULL, 0}};
static const struct choice stresses[] = {{"none", 0},
                                         {"collect", GC_STRESS_COLLECT},
                                         {"evacuate-all", GC_STRESS_EVACUATE_ALL},
                                         {"full", GC_STRESS_FULL},
                                         {"in-place", GC_STRESS_IN_PLACE},
                                         {"tiny-stack", GC_STRESS_TINY_STACK},
                                         {"prefetch", GC_STRESS_PREFETCH},
                                         {"pretenure", GC_STRESS_PRETENURE},
                                         {"quarantine", GC_STRESS_QUARANTINE | GC_STRESS_COLLECT |
                                                            GC_STRESS_FULL |
                                                            GC_STRESS_EVACUATE_ALL},
                                         {NULL, 0}};

/* "NAME=VALUE: must be ...", the value left out if it is NULL. */
static gc_status refuse(char *why, const char *name, const char *value, const char *rule)
{
    snprintf(why, GC_WHY_BYTES, "%.40s%s%.40s: %s", name, value == NULL ? "" : "=",
             value == NULL ? "" : value, rule);
    return GC_BAD_OPTION;
}

/* ---- The settings string: name=value, comma, name=value ---- */

static gc_status refuse_choice(char *why, const char *name, const char *value,
                               const struct choice *choices)
{
    size_t used = (size_t)snprintf(why, GC_WHY_BYTES, "%s=%.40s: must be one of", name, value);

    for (; choices->name != NULL && used < GC_WHY_BYTES; choices++)
        used += (size_t)snprintf(why + used, GC_WHY_BYTES - used, " %s", choices->name);
    return GC_BAD_OPTION;
}

static const struct choice *find_choice(const struct choice *choices, const char *value)
{
    for (; choices->name != NULL; choices++)
        if (strcmp(choices->name, value) == 0)
            return choices;
    return NULL;
}

/* Digits, then nothing or K, M or G. */
static bool parse_bytes(const char *text, size_t *value)
{
    size_t number = 0, unit = 1;

    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (size_t)(*text - '0'), &number))
            return false;
    if (*text == 'K')
        unit = (size_t)1 << 10;
    else if (*text == 'M')
        unit = (size_t)1 << 20;
    else if (*text == 'G')
        unit = (size_t)1 << 30;
    if (unit != 1)
        text++;
    return *text == '\0' && !__builtin_mul_overflow(number, unit, value);
}

/* Cuts the text at the next separator; returns what was before it. */
static char *cut(char **rest, char separator)
{
    char *item = *rest, *end = strchr(item, separator);

    *rest = end == NULL ? NULL : end + 1;
    if (end != NULL)
        *end = '\0';
    return item;
}

/* Several modes: "collect+evacuate-all". */
static gc_status set_stress(struct gc_settings *settings, char *value, char *why)
{
    while (value != NULL) {
        const char *mode = cut(&value, '+');
        const struct choice *choice = find_choice(stresses, mode);

        if (choice == NULL)
            return refuse_choice(why, "stress", mode, stresses);
        settings->stress |= choice->value;
    }
    return GC_OK;
}

struct choice_setting {
    const char *name;
    const struct choice *choices;
    size_t offset; /* of an enum in gc_settings */
};

static const struct choice_setting choice_settings[] = {
    {"check", checks, offsetof(struct gc_settings, options.check)},
    {"stacks", stacks, offsetof(struct gc_settings, options.stacks)},
    {"barriers", barriers, offsetof(struct gc_settings, options.barriers)},
    {"harden", hardens, offsetof(struct gc_settings, options.harden)},
    {NULL, NULL, 0}};

struct number_setting {
    const char *name;
    size_t offset; /* in gc_settings */
    bool wide;     /* size_t, else uint32_t */
    size_t least;
};

static const struct number_setting number_settings[] = {
    {"hard-limit", offsetof(struct gc_settings, options.hard_limit), true, 0},
    {"soft-limit", offsetof(struct gc_settings, options.soft_limit), true, 0},
    {"nursery-min", offsetof(struct gc_settings, options.nursery_min), true, 0},
    {"nursery-max", offsetof(struct gc_settings, options.nursery_max), true, 0},
    {"threshold1", offsetof(struct gc_settings, options.threshold1), false, 0},
    {"threshold2", offsetof(struct gc_settings, options.threshold2), false, 0},
    {"growth", offsetof(struct gc_settings, options.growth_percent), false, 0},
    {"gc-share", offsetof(struct gc_settings, options.gc_share_percent), false, 0},
    {"decommit-delay", offsetof(struct gc_settings, options.decommit_delay), false, 0},
    {"workers", offsetof(struct gc_settings, options.workers), false, 0},
    {"watchdog-ms", offsetof(struct gc_settings, options.watchdog_ms), false, 0},
    {"stress-every", offsetof(struct gc_settings, stress_every), true, 1},
    {"stress-seed", offsetof(struct gc_settings, stress_seed), true, 0},
    {NULL, 0, false, 0}};

static gc_status set_number(struct gc_settings *settings, const struct number_setting *setting,
                            const char *value, char *why)
{
    char *field = (char *)settings + setting->offset;
    size_t number;
    uint32_t narrow;

    if (!parse_bytes(value, &number) || (!setting->wide && number > UINT32_MAX))
        return refuse(why, setting->name, value, "must be a number, K, M or G may follow");
    if (number < setting->least)
        return refuse(why, setting->name, value, "must be at least 1");
    narrow = (uint32_t)number;
    if (setting->wide)
        memcpy(field, &number, sizeof number);
    else
        memcpy(field, &narrow, sizeof narrow);
    return GC_OK;
}

static gc_status set_choice(struct gc_settings *settings, const struct choice_setting *setting,
                            const char *value, char *why)
{
    const struct choice *choice = find_choice(setting->choices, value);

    if (choice == NULL)
        return refuse_choice(why, setting->name, value, setting->choices);
    memcpy((char *)settings + setting->offset, &choice->value, sizeof choice->value);
    return GC_OK;
}

static gc_status set_one(struct gc_settings *settings, const char *name, char *value, char *why)
{
    if (strcmp(name, "stress") == 0)
        return set_stress(settings, value, why);
    for (const struct choice_setting *s = choice_settings; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return set_choice(settings, s, value, why);
    for (const struct number_setting *s = number_settings; s->name != NULL; s++)
        if (strcmp(s->name, name) == 0)
            return set_number(settings, s, value, why);
    return refuse(why, name, NULL,
                  "no such option: there are check, stress, stacks, barriers, harden, hard-limit, "
                  "soft-limit, nursery-min, nursery-max, threshold1, threshold2, growth, gc-share, "
                  "decommit-delay, workers, watchdog-ms, stress-every, stress-seed");
}

static gc_status apply_settings(struct gc_settings *settings, const char *text, char *why)
{
    char copy[512], *rest = copy;

    if (text == NULL || *text == '\0')
        return GC_OK;
    if (strlen(text) >= sizeof copy)
        return refuse(why, "settings", NULL, "must be at most 511 characters");
    memcpy(copy, text, strlen(text) + 1);
    while (rest != NULL) {
        char *item = cut(&rest, ',');
        char *value = strchr(item, '=');
        gc_status status;

        if (value == NULL)
            return refuse(why, item, NULL, "must be name=value");
        *value++ = '\0';
        status = set_one(settings, item, value, why);
        if (status != GC_OK)
            return status;
    }
    return GC_OK;
}

/* ---- Defaults and bounds ---- */

static void complete_sizes(gc_options *options)
{
    if (options->hard_limit == 0)
        options->hard_limit = gc_max(gc_os_memory_limit() / 4 * 3, LEAST_DEFAULT_LIMIT);
    if (options->soft_limit == 0)
        options->soft_limit = SIZE_MAX;
    if (options->nursery_max == 0) {
        options->nursery_max = gc_min(options->hard_limit / 4, MOST_NURSERY);
        options->nursery_max = gc_max(options->nursery_max, options->nursery_min);
    }
    if (options->nursery_min == 0)
        options->nursery_min = gc_min(DEFAULT_NURSERY, options->nursery_max);
}

static void complete_numbers(gc_options *options)
{
    if (options->threshold1 == 0)
        options->threshold1 = 8;
    if (options->threshold2 == 0)
        options->threshold2 = 2;
    if (options->growth_percent == 0)
        options->growth_percent = 75;
    if (options->gc_share_percent == 0)
        options->gc_share_percent = 90;
    if (options->decommit_delay == 0)
        options->decommit_delay = 1;
    if (options->reference_tags == 0)
        options->reference_tags = 1;
}

/* A field may hold any number. */
static gc_status check_choice(char *why, const char *name, unsigned value,
                              const struct choice *choices)
{
    char text[16];

    for (const struct choice *choice = choices; choice->name != NULL; choice++)
        if (choice->value == value)
            return GC_OK;
    snprintf(text, sizeof text, "%u", value);
    return refuse_choice(why, name, text, choices);
}

static gc_status check_choices(const gc_options *options, char *why)
{
    gc_status status = check_choice(why, "stacks", options->stacks, stacks);

    if (status == GC_OK)
        status = check_choice(why, "barriers", options->barriers, barriers);
    if (status == GC_OK)
        status = check_choice(why, "check", options->check, checks);
    if (status == GC_OK)
        status = check_choice(why, "harden", options->harden, hardens);
    return status;
}

static gc_status check_bounds(const gc_options *options, char *why)
{
    if (options->hard_limit < GC_LEAST_LIMIT || options->hard_limit > SIZE_MAX / 8)
        return refuse(why, "hard_limit", NULL, "must be at least 1 MiB, and in the address space");
    if (options->nursery_min > options->nursery_max)
        return refuse(why, "nursery_min", NULL, "must not be above nursery_max");
    if (options->nursery_max > options->hard_limit)
        return refuse(why, "nursery_max", NULL, "must not be above hard_limit");
    if (options->gc_share_percent > 100)
        return refuse(why, "gc_share_percent", NULL, "must be 1 to 100");
    if (options->workers > GC_MOST_WORKERS)
        return refuse(why, "workers", NULL, "must be at most 64");
    if (options->decommit_delay > UINT8_MAX)
        return refuse(why, "decommit_delay", NULL, "must be at most 255");
    return check_choices(options, why);
}

gc_status gc_settings_read(const gc_options *options, struct gc_settings *settings, char *why)
{
    gc_status status;

    why[0] = '\0';
    memset(settings, 0, sizeof *settings);
    settings->options.size = sizeof settings->options;
    if (options != NULL) {
        if (options->size != sizeof *options) {
            snprintf(why, GC_WHY_BYTES, "size: must be sizeof(gc_options), %zu", sizeof *options);
            return GC_BAD_SIZE;
        }
        settings->options = *options;
    }
    status = apply_settings(settings, settings->options.settings, why);
    if (status == GC_OK)
        status = apply_settings(settings, getenv("STRATA_OPTIONS"), why);
    if (status != GC_OK)
        return status;
    complete_sizes(&settings->options);
    complete_numbers(&settings->options);
    settings->stress_every = gc_min(gc_max(settings->stress_every, 1), UINT32_MAX);
    return check_bounds(&settings->options, why);
}

void gc_options_init(gc_options *options)
{
    *options = (gc_options){.size = sizeof *options};
}

const char *gc_options_explain(const gc_options *options)
{
    static _Thread_local char why[GC_WHY_BYTES];
    struct gc_settings settings;

    gc_settings_read(options, &settings, why);
    return why;
}
