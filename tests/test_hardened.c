/* SPDX-License-Identifier: MIT
 *
 * Hardened heaps: what a program's overflow does to a header ends the program
 * before a collection believes it.
 */
#include "support/child.h"
#include "support/doomed.h"
#include "support/hardened.h"

#include "memory/seals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT = 400, BY_CHANCE = 88, NODES = GC_BLOCK_BYTES / sizeof(struct node) };

struct blow {
    void (*strike)(struct scene *scene);
    struct scene *scene;
    unsigned generation;
    unsigned broken; /* headers that it spoils */
};

/* Seals that do not fit. */
static unsigned count_broken(struct world *world)
{
    const struct gc_tables *tables = tables_of(world);
    uint32_t blocks = (uint32_t)world->heap->collector.blocks.chunks_high * GC_CHUNK_BLOCKS;
    unsigned count = 0;

    for (uint32_t block = 0; block < blocks; block++) {
        uintptr_t start = gc_block_start(tables, block) + GC_HEADER_BYTES;

        for (size_t i = 0; i < GC_BLOCK_BYTES && tables->state[block] != 0; i += GC_GRANULE_BYTES)
            count += gc_is_sealed(tables, start + i) && !gc_seal_fits(tables, start + i);
    }
    return count;
}

/* A seal has 13 bits of a hash: one spoiled header in 8192 has the same. */
static void strike(const struct blow *blow)
{
    end_by_faults();
    blow->strike(blow->scene);
    if (count_broken(blow->scene->world) < blow->broken)
        _exit(BY_CHANCE);
}

static void strike_and_collect(void *data)
{
    const struct blow *blow = data;

    strike(blow);
    gc_collect(blow->scene->world->mutator, blow->generation, NULL);
}

static void strike_and_refer(void *data)
{
    const struct blow *blow = data;

    strike(blow);
    (void)gc_handle_create(blow->scene->world->mutator, blow->scene->text);
}

static void expect(void (*run)(void *data), struct blow blow, const char *message)
{
    char expected[TEXT], said[TEXT];
    int status = run_in_child(run, &blow, said, sizeof said);

    if (WIFEXITED(status) && WEXITSTATUS(status) == BY_CHANCE)
        skip();
    (void)snprintf(expected, sizeof expected, "strata: hardened heap: %s\n", message);
    assert_string_equal(said, expected);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void expect_end(struct blow blow, const char *message)
{
    expect(strike_and_collect, blow, message);
}

static void overflow_text(struct scene *scene)
{
    memset(scene->text, 0x41, sizeof *scene->text + GC_HEADER_BYTES);
}

/* A sanitizer sees the overflow itself. */
static void skip_where_forbidden(void)
{
    if (GC_FORBIDS)
        skip();
}

static void an_overflow_into_the_next_header_is_caught(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];

    skip_where_forbidden();
    (void)snprintf(message, sizeof message,
                   "the header of node at %p in gen0 was overwritten: 0x4141414141414141; before "
                   "it lies text at %p, of 16 bytes",
                   (void *)scene.node, (void *)scene.text);
    expect_end((struct blow){overflow_text, &scene, 0, 1}, message);
}

/* A type that there is, of an object that is somewhere else. */
static void forge_type(struct scene *scene)
{
    memcpy((uint64_t *)(void *)scene->text - 1, (uint64_t *)(void *)scene->node - 1,
           GC_HEADER_BYTES);
}

static void a_header_copied_from_another_object_is_caught(void **state)
{
    struct scene scene = set_scene(*state);
    unsigned char *bytes = scene.world->root[4];
    char message[TEXT];

    (void)snprintf(message, sizeof message,
                   "the header of the object at %p in gen0 was overwritten: %p; before it lies "
                   "bytes at %p, of 10 bytes",
                   (void *)scene.text, (const void *)&node_type, (void *)bytes);
    expect_end((struct blow){forge_type, &scene, 0, 1}, message);
}

static void zero_header(struct scene *scene)
{
    memset(scene->text, 0, sizeof *scene->text + GC_HEADER_BYTES);
}

static void a_zeroed_header_is_caught(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];

    skip_where_forbidden();
    (void)snprintf(message, sizeof message,
                   "the header of node at %p in gen0 was overwritten: 0; before it lies text at "
                   "%p, of 16 bytes",
                   (void *)scene.node, (void *)scene.text);
    expect_end((struct blow){zero_header, &scene, 0, 1}, message);
}

static void zero_own_header(struct scene *scene)
{
    memset((uint64_t *)(void *)scene->text - 1, 0, GC_HEADER_BYTES);
}

/* Filled with nodes from the one text on, so that the next text begins the next block. */
static void what_the_next_block_holds_tells_no_type(void **state)
{
    struct world *world = *state;
    const struct gc_tables *tables = tables_of(world);
    struct scene scene = {.world = world};
    struct node *first = make_node(world->mutator, 1), *last = first;
    uint32_t block = gc_block_of(tables, (uintptr_t)first);
    uintptr_t end;
    char message[TEXT];

    skip_where_forbidden(); /* sizes are others */
    for (int i = 0; i < NODES && gc_block_of(tables, (uintptr_t)last) == block; i++)
        last = make_node(world->mutator, 2);
    assert_int_not_equal(gc_block_of(tables, (uintptr_t)last), block);
    block = gc_block_of(tables, (uintptr_t)last);
    end = gc_block_start(tables, block) + GC_BLOCK_BYTES;
    world->root[0] = scene.text = make_object(world->mutator, &text_type);
    (void)snprintf(message, sizeof message,
                   "the header of the object at %p in gen0 was overwritten: 0; before it lies "
                   "node at %p, of %zu bytes",
                   (void *)scene.text, (void *)last, sizeof *last);
    for (int i = 0; i < NODES && (uintptr_t)(last + 2) <= end; i++)
        last = make_node(world->mutator, 3);
    world->root[1] = make_object(world->mutator, &text_type);
    assert_int_equal((uintptr_t)world->root[1], end + GC_HEADER_BYTES);
    expect_end((struct blow){zero_own_header, &scene, 0, 1}, message);
}

static void lengthen(struct scene *scene)
{
    ((uint64_t *)(void *)scene->array)[-2] = (uint64_t)1000 << 2 | GC_LENGTH_TAG;
}

static void a_length_that_grew_is_caught(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];

    (void)snprintf(message, sizeof message,
                   "the header of the object at %p in gen0 was overwritten: 0xfa2, %p; before it "
                   "lies node at %p, of 24 bytes",
                   (void *)scene.array, (const void *)&gc_type_bytes, (void *)scene.node);
    expect_end((struct blow){lengthen, &scene, 0, 1}, message);
}

static void write_behind_all(struct scene *scene)
{
    memset(scene->array, 0x42, gc_length(scene->array) + 12);
}

static void a_write_into_free_room_is_caught(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];

    skip_where_forbidden();
    (void)snprintf(message, sizeof message,
                   "free room at %p in gen0 was written to: 0x4242424242424242; before it lies "
                   "bytes at %p, of 100 bytes",
                   (void *)(scene.array + 104), (void *)scene.array);
    expect_end((struct blow){write_behind_all, &scene, 0, 0}, message);
}

/* The holder is not condemned, but remembered. */
static void write_into_the_gap(struct scene *scene)
{
    ((uint64_t *)(void *)scene->other)[4] = 0x43;
}

/* The room of what died between two that were pinned. */
static void a_write_into_a_gap_is_caught(void **state)
{
    struct world *world = *state;
    struct scene scene = {.world = world};
    char message[TEXT];

    skip_where_forbidden();
    world->root[0] = scene.other = make_node(world->mutator, 1);
    for (int i = 0; i < 10; i++)
        (void)make_node(world->mutator, 2);
    world->root[1] = make_node(world->mutator, 3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(gc_pin(world->mutator, world->root[i]), GC_OK);
    gc_collect(world->mutator, GC_YOUNG, NULL);
    (void)snprintf(message, sizeof message,
                   "free room at %p in gen0 was written to: 0x43; before it lies node at %p, of 24 "
                   "bytes",
                   (void *)((uint64_t *)(void *)scene.other + 4), (void *)scene.other);
    expect_end((struct blow){write_into_the_gap, &scene, 0, 0}, message);
}

static void spoil_holder(struct scene *scene)
{
    struct world *world = scene->world;
    struct node *holder = world->root[2];

    gc_write(world->mutator, holder, &holder->left, make_node(world->mutator, 3));
    ((uint8_t *)holder)[-8] ^= 0x40;
}

static void an_old_holder_is_checked_by_a_young_collection(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];
    uint64_t header;

    collect(scene.world->mutator, 2);
    collect(scene.world->mutator, 2);
    scene.node = scene.world->root[2];
    header = ((uint64_t)(uintptr_t)&node_type) ^ 0x40;
    (void)snprintf(message, sizeof message,
                   "the header of node at %p in gen2 was overwritten: %#llx; before it lies text "
                   "at %p, of 16 bytes",
                   (void *)scene.node, (unsigned long long)header, scene.world->root[1]);
    expect_end((struct blow){spoil_holder, &scene, 0, 1}, message);
}

/* What lies before the holder is not checked by a young collection, and is not
 * believed to be sound either. */
static void spoil_holder_and_text(struct scene *scene)
{
    ((uint8_t *)scene->world->root[1])[-8] ^= 0x40;
    spoil_holder(scene);
}

static void what_lies_before_is_named_only_if_it_is_sound(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];
    uint64_t header;

    collect(scene.world->mutator, 2);
    collect(scene.world->mutator, 2);
    header = (uint64_t)(uintptr_t)&node_type ^ 0x40;
    (void)snprintf(message, sizeof message,
                   "the header of node at %p in gen2 was overwritten: %#llx; before it lies node "
                   "at %p, of 24 bytes",
                   scene.world->root[2], (unsigned long long)header, scene.world->root[0]);
    expect_end((struct blow){spoil_holder_and_text, &scene, 0, 2}, message);
}

/* Without a log entry: as if there had been no room for it. */
static void spoil_lost_holder(struct scene *scene)
{
    struct gc_collector *collector = &scene->world->heap->collector;
    uintptr_t holder = (uintptr_t)scene->world->root[2];
    uint32_t block = gc_block_of(&collector->tables, holder);

    collector->tables.blocks[block].flags |= GC_BLOCK_ALL_REMEMBERED;
    collector->remembered.lost = true;
    *(uint8_t *)(holder - GC_HEADER_BYTES) ^= 0x40;
}

static void a_holder_that_found_no_room_in_the_log_is_checked_too(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];
    uint64_t header;

    collect(scene.world->mutator, 2);
    collect(scene.world->mutator, 2);
    header = *gc_header((uintptr_t)scene.world->root[2]);
    (void)snprintf(message, sizeof message,
                   "the header of node at %p in gen2 was overwritten: %#llx; before it lies text "
                   "at %p, of 16 bytes",
                   scene.world->root[2], (unsigned long long)header ^ 0x40, scene.world->root[1]);
    expect_end((struct blow){spoil_lost_holder, &scene, 0, 1}, message);
}

static void spoil_moved(struct scene *scene)
{
    scene->text = scene->world->root[1];
    overflow_text(scene);
}

static void copies_are_sealed_where_they_are(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];

    skip_where_forbidden();
    collect(scene.world->mutator, 0);
    assert_ptr_not_equal(scene.world->root[2], scene.node);
    (void)snprintf(message, sizeof message,
                   "the header of node at %p in gen1 was overwritten: 0x4141414141414141; before "
                   "it lies text at %p, of 16 bytes",
                   scene.world->root[2], scene.world->root[1]);
    expect_end((struct blow){spoil_moved, &scene, 1, 1}, message);
}

/* Not by a collection, but by the function that is given it. */
static void an_object_given_to_a_function_is_checked(void **state)
{
    struct scene scene = set_scene(*state);
    char message[TEXT];

    assert_ptr_equal(gc_handle_get(gc_handle_create(scene.world->mutator, scene.text)), scene.text);
    (void)snprintf(message, sizeof message,
                   "the header of the object at %p in gen0 was overwritten: %p; before it lies "
                   "bytes at %p, of 10 bytes",
                   (void *)scene.text, (const void *)&node_type, scene.world->root[4]);
    expect(strike_and_refer, (struct blow){forge_type, &scene, 0, 1}, message);
}

static void refer_to_the_dead(void)
{
    gc_options options = hardened_options();
    struct node *node;

    doomed = world_make(&options);
    node = make_node(doomed->mutator, 1);
    (void)make_node(doomed->mutator, 2);
    doomed->root[0] = make_node(doomed->mutator, 3);
    assert_int_equal(gc_pin(doomed->mutator, doomed->root[0]), GC_OK);
    gc_collect(doomed->mutator, 0, NULL);
    (void)gc_handle_create(doomed->mutator, node);
}

static void refer_to(uintptr_t address)
{
    (void)gc_handle_create(doomed->mutator, (void *)address);
}

static void make_doomed_hardened(void)
{
    gc_options options = hardened_options();

    doomed = world_make(&options);
    doomed->root[0] = make_node(doomed->mutator, 1);
    doomed->root[1] = make_node(doomed->mutator, 2);
}

static void refer_to_a_byte(void)
{
    make_doomed_hardened();
    refer_to((uintptr_t)doomed->root[0] + 1);
}

/* Half a seal's reach away from an object: the seal speaks of that one. */
static uintptr_t next_granule(void)
{
    uintptr_t first = (uintptr_t)doomed->root[0], second = (uintptr_t)doomed->root[1];

    return ((first - GC_HEADER_BYTES) % 16 == 0 ? first : second) + 8;
}

static void refer_to_the_next_granule(void)
{
    make_doomed_hardened();
    refer_to(next_granule());
}

static void hash_the_next_granule(void)
{
    uint64_t hash;

    make_doomed_hardened();
    (void)gc_hash(doomed->mutator, (void *)next_granule(), &hash);
}

static void refer_outside(void)
{
    make_doomed_hardened();
    refer_to((uintptr_t)doomed & ~(uintptr_t)7);
}

static void refer_to_a_free_block(void)
{
    make_doomed_hardened();
    refer_to((uintptr_t)doomed->root[0] + (size_t)16 * GC_BLOCK_BYTES);
}

static void what_is_no_object_given_to_a_function_is_refused(void **state)
{
    (void)state;
    expect_misuse(refer_to_the_dead, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(refer_to_a_byte, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(refer_to_the_next_granule, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(refer_outside, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(refer_to_a_free_block, "gc_handle_create", NOT_A_REFERENCE);
    expect_misuse(hash_the_next_granule, "gc_hash", NOT_A_REFERENCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_overflow_into_the_next_header_is_caught, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_header_copied_from_another_object_is_caught,
                                        hardened_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_zeroed_header_is_caught, hardened_setup, world_teardown),
        cmocka_unit_test_setup_teardown(what_the_next_block_holds_tells_no_type, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_length_that_grew_is_caught, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_write_into_free_room_is_caught, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_write_into_a_gap_is_caught, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(an_old_holder_is_checked_by_a_young_collection,
                                        hardened_setup, world_teardown),
        cmocka_unit_test_setup_teardown(what_lies_before_is_named_only_if_it_is_sound,
                                        hardened_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_holder_that_found_no_room_in_the_log_is_checked_too,
                                        hardened_setup, world_teardown),
        cmocka_unit_test_setup_teardown(copies_are_sealed_where_they_are, hardened_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(an_object_given_to_a_function_is_checked, hardened_setup,
                                        world_teardown),
        cmocka_unit_test(what_is_no_object_given_to_a_function_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
