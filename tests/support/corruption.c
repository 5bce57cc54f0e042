/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L

#include "support/corruption.h"

#include "inspect/verify.h"
#include "support/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIST = 6000, ARRAY = 2000, TEXT = 8192, MOST_LINES = 20 };

uint32_t block_of(const struct seeded *seeded, const void *object)
{
    return gc_block_of(seeded->tables, (uintptr_t)object);
}

void at(struct seeded *s, const void *object)
{
    s->object = (uintptr_t)object;
    s->block = block_of(s, object);
}

struct gc_block *info_of(struct seeded *s, const void *object)
{
    s->block = block_of(s, object);
    return &s->tables->blocks[s->block];
}

uint32_t free_block(struct seeded *s)
{
    const struct gc_blocks *blocks = &s->collector->blocks;

    for (size_t i = 0; i < blocks->chunks_high; i++)
        if (blocks->chunks[i].use == GC_CHUNK_SMALL && blocks->chunks[i].free != 0)
            return s->block =
                       (uint32_t)(i * GC_CHUNK_BLOCKS + gc_lowest_bit(blocks->chunks[i].free));
    abort();
}

struct gc_generation *generation(struct seeded *s, unsigned i)
{
    return &s->collector->spaces.generations[i];
}

/* ---- Something of everything -------------------------------------------- */

static void ignore(gc_mutator *mutator, void *object, void *data)
{
    (void)mutator;
    (void)object;
    (void)data;
}

static void ignore_weakref(gc_mutator *mutator, gc_weakref *weakref, void *data)
{
    (void)mutator;
    (void)weakref;
    (void)data;
}

/* Every fourth hundred of the list goes, so that its blocks get holes. */
static void make_holes(struct node *list)
{
    for (size_t i = 0; list != NULL; i++, list = list->right)
        if (i % 400 == 299)
            for (size_t n = 0; n < 100 && list->right != NULL; n++)
                list->right = list->right->right;
}

static void make_old(struct seeded *s)
{
    gc_mutator *m = s->world->mutator;
    void **root = s->world->root;

    root[3] = build_list(m, LIST);
    root[4] = make_array(m, &gc_type_references, ARRAY);
    root[5] = make_array(m, &gc_type_bytes, 100000);
    root[0] = make_node(m, 1);
    root[1] = make_node(m, 2);
    ((struct node *)root[0])->left = root[1];
    ((void **)root[4])[5] = root[1];
    root[2] = make_node(m, 3);
    ((void **)root[4])[6] = gc_weakref_create(m, root[1], 0);
    ((void **)root[4])[7] = make_array(m, &gc_type_bytes, 3 * GC_LINE_BYTES);
    gc_collect(m, GC_OLD, NULL);
    gc_collect(m, GC_OLD, NULL);
    make_holes(root[3]);
    gc_collect(m, GC_OLD, NULL);
    s->old = root[0];
    s->old_leaf = root[1];
    s->old_other = root[2];
    s->list = root[3];
    s->array = root[4];
    s->bytes = root[5];
    s->old_weakref = s->array[6];
    s->old_text = s->array[7];
}

/* The remembered set of old holders gets `old`. */
static void make_middle(struct seeded *s)
{
    gc_mutator *m = s->world->mutator;

    s->world->root[6] = make_node(m, 4);
    gc_collect(m, GC_YOUNG, NULL);
    s->middle = s->world->root[6];
    gc_write(m, s->old, &s->old->right, s->middle);
    gc_collect(m, GC_YOUNG, NULL);
}

static void make_young(struct seeded *s)
{
    gc_mutator *m = s->world->mutator;
    void **holder = s->world->root[7] = make_array(m, &gc_type_references, 16);

    gc_disable(m);
    holder[0] = s->young = make_node(m, 5);
    holder[1] = s->young_too = make_node(m, 6);
    holder[2] = s->text = make_array(m, &gc_type_bytes, 100);
    holder[3] = s->words = make_array(m, &gc_type_words, 10);
    s->type = gc_type_create(m, &node_type, s->old_leaf);
    holder[4] = s->instance = make_object(m, s->type);
    holder[5] = s->weakref = gc_weakref_create(m, s->young, 0);
    holder[6] = s->watching = gc_weakref_create_watching(m, s->middle, 0, ignore_weakref, NULL);
    holder[7] = s->ephemeron = gc_ephemeron_create(m, s->young, s->middle);
    gc_write(m, s->old_other, &s->old_other->left, s->young);
    gc_write(m, s->array, &s->array[1000], s->young);
}

static void note_facts(struct seeded *s)
{
    static struct node *local;
    static void *const slots[] = {&local};
    static gc_frame frame = {NULL, slots, 1};
    gc_finalizer finalizer = {.size = sizeof finalizer, .run = ignore};
    gc_mutator *m = s->world->mutator;
    uint64_t hash;

    assert_int_equal(gc_pin(m, s->old_leaf), GC_OK);
    assert_int_equal(gc_pin_once(m, s->young), GC_OK);
    assert_int_equal(gc_hash(m, s->middle, &hash), GC_OK);
    assert_int_equal(gc_external_adjust(m, s->old, 1000), GC_OK);
    assert_int_equal(gc_finalizer_add(m, s->old, &finalizer, &s->finalizer), GC_OK);
    s->handle = gc_handle_create(m, s->middle);
    local = s->young;
    gc_frame_push(m, &frame);
    s->frame = &frame;
}

static void make_elsewhere(struct seeded *s)
{
    static struct world *other;
    gc_options options = test_options();

    if (other == NULL)
        other = world_make(&options);
    other->root[0] = s->elsewhere = make_node(other->mutator, 7);
    s->foreign_type = gc_made_type(gc_type_create(other->mutator, &node_type, NULL));
}

static struct seeded *seed(void)
{
    struct seeded *s = calloc(1, sizeof *s);
    gc_options options = test_options();

    assert_non_null(s);
    options.stacks = GC_STACKS_EXACT;
    options.check = GC_CHECK_OFF;
    s->world = world_make(&options);
    s->collector = &s->world->heap->collector;
    s->tables = &s->collector->tables;
    make_elsewhere(s);
    make_old(s);
    make_middle(s);
    make_young(s);
    note_facts(s);
    assert_int_equal(gc_generation_of(s->world->mutator, s->old), GC_OLD);
    assert_int_equal(gc_generation_of(s->world->mutator, s->middle), GC_MIDDLE);
    assert_int_equal(gc_generation_of(s->world->mutator, s->young), GC_YOUNG);
    assert_int_equal(gc_verify(s->world->mutator), 0);
    return s;
}

static void seed_free(struct seeded *seeded)
{
    gc_enable(seeded->world->mutator);
    world_free(seeded->world);
    free(seeded);
}

/* ---- What must be said -------------------------------------------------- */

static void put(char *text, size_t *used, const char *name, const struct seeded *s)
{
    if (strncmp(name, "{object}", 8) == 0)
        *used += (size_t)snprintf(text + *used, TEXT - *used, "%p", (void *)s->object);
    else if (strncmp(name, "{target}", 8) == 0)
        *used += (size_t)snprintf(text + *used, TEXT - *used, "%p", (void *)s->target);
    else if (strncmp(name, "{other}", 7) == 0)
        *used += (size_t)snprintf(text + *used, TEXT - *used, "%p", (void *)s->other);
    else if (strncmp(name, "{block}", 7) == 0)
        *used += (size_t)snprintf(text + *used, TEXT - *used, "%u", s->block);
    else
        *used += (size_t)snprintf(text + *used, TEXT - *used, "%p",
                                  (void *)gc_block_start(s->tables, s->block));
}

static void expand(char *text, const char *message, const struct seeded *seeded)
{
    size_t used = (size_t)snprintf(text, TEXT, "strata: verify: ");

    while (*message != '\0') {
        if (*message == '{') {
            put(text, &used, message, seeded);
            message = strchr(message, '}') + 1;
        } else {
            text[used++] = *message++;
        }
    }
    text[used++] = '\n';
    text[used] = '\0';
}

static size_t lines_of(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n';
    return count;
}

/* In the child: whether it was found, or what was said instead, to `out`. */
static bool is_found(struct seeded *seeded, const struct corruption *corruption, FILE *out)
{
    static char expected[TEXT], said[TEXT];
    FILE *file = tmpfile();
    size_t faults, length;
    bool found;

    if (file == NULL)
        return false;
    corruption->corrupt(seeded);
    (void)dup2(fileno(file), STDERR_FILENO);
    faults = gc_verify_heap(seeded->collector);
    (void)fflush(stderr);
    rewind(file);
    length = fread(said, 1, sizeof said - 1, file);
    said[length] = '\0';
    expand(expected, corruption->message, seeded);
    found = faults != 0 && lines_of(said) == (faults < MOST_LINES ? faults : MOST_LINES) &&
            (corruption->has_more ? strstr(said, expected) != NULL : strcmp(said, expected) == 0);
    if (!found)
        (void)fprintf(out, "%s: expected\n%sbut was said:\n%s", corruption->name, expected, said);
    (void)fflush(out);
    return found;
}

struct search {
    struct seeded *seeded;
    const struct corruption *corruption;
};

static void search(void *data)
{
    const struct search *search = data;
    FILE *out = fdopen(dup(STDERR_FILENO), "w");

    end_by_faults();
    _exit(out != NULL && is_found(search->seeded, search->corruption, out) ? 0 : 1);
}

static bool find_in_child(struct seeded *seeded, const struct corruption *corruption)
{
    static char said[3 * TEXT];
    struct search wanted = {seeded, corruption};
    int status = run_in_child(search, &wanted, said, sizeof said);

    print_error("%s", said);
    if (WIFSIGNALED(status))
        print_error("%s: the verifier died of signal %d\n", corruption->name, WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void assert_all_found(const struct corruption *corruptions, size_t count, size_t least)
{
    struct seeded *seeded = seed();
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += find_in_child(seeded, &corruptions[i]);
    seed_free(seeded);
    assert_int_equal(found, count);
    assert_true(count >= least);
}
