/* SPDX-License-Identifier: MIT */
#include "support/shadow.h"

#include <stdlib.h>
#include <string.h>

#include "support/shadow_model.h"

struct shadow_run run;
struct shadow_tally shadow_tally;

/* ---- Choices ------------------------------------------------------------ */

uint64_t shadow_choose(struct shadow_choices *choices, uint64_t bound)
{
    uint64_t number = 0;

    if (choices->bytes == NULL)
        return next_random(&choices->state) % bound;
    for (uint64_t most = 1; most < bound && choices->left > 0; most <<= 8) {
        number = number << 8 | *choices->bytes++;
        choices->left--;
    }
    return number % bound;
}

bool shadow_goes_on(void)
{
    return run.choices->bytes == NULL || run.choices->left > 0;
}

/* Steele, Lea and Flood 2014: splitmix64's finish. */
uint64_t mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

bool is_done(gc_status status)
{
    assert_true(status == GC_OK || (status == GC_NO_MEMORY && may_fail()));
    shadow_tally.refused += status != GC_OK;
    return status == GC_OK;
}

/* ---- Runs --------------------------------------------------------------- */

bool shadow_start(const struct shadow_config *config, struct shadow_choices *choices)
{
    gc_options options = plain_options(config->nursery);

    memset(&run, 0, sizeof run);
    run.config = config;
    run.choices = choices;
    options.stacks = config->stacks;
    options.barriers = config->barriers;
    options.reference_tags = config->tags;
    options.settings = config->settings;
    if (config->hard_limit != 0)
        options.hard_limit = config->hard_limit;
    if (gc_heap_create(&options, &run.heap) != GC_OK)
        return false;
    assert_int_equal(gc_mutator_attach(run.heap, &run.mutator), GC_OK);
    run.walk = run.marking = 1;
    free_shadow(new_shadow(LEAF, 0, 0)); /* so that there is number 0 */
    register_roots();
    return true;
}

uint64_t shadow_collections(void)
{
    return collections_of(run.heap);
}

static uint64_t serial_of(uint32_t id)
{
    return is_strong(id) ? run.shadows[id].serial : 0;
}

/* By what is strong alone, and not by the order of entries. */
static uint64_t hash_of_shadow(const struct shadow *shadow)
{
    uint64_t sum = mix(shadow->serial * KINDS + shadow->kind) + mix(shadow->length) + shadow->seed;

    if (shadow->kind == TABLE || shadow->kind == EPHEMERON) {
        for (uint32_t i = 0; i < shadow->links; i += 2)
            if (is_strong(shadow->refs[i]) &&
                (table_kind(shadow) != GC_TABLE_WEAK_VALUES || is_strong(shadow->refs[i + 1])))
                sum += mix(serial_of(shadow->refs[i]) ^ mix(serial_of(shadow->refs[i + 1])));
        return mix(sum);
    }
    for (uint32_t i = 0; i < shadow->links; i++)
        sum += mix(i ^ mix(serial_of(shadow->refs[i])) ^ shadow->words[i]);
    return mix(sum);
}

static uint64_t hash_of_graph(void)
{
    uint64_t sum = 0;

    for (uint32_t id = 1; id < run.count; id++)
        if (is_strong(id))
            sum += hash_of_shadow(&run.shadows[id]);
    for (uint32_t root = 0; root < ROOTS; root++)
        sum += mix(root ^ mix(run.shadows[run.roots[root]].serial));
    return sum;
}

static void retire_types(void)
{
    for (int i = 0; i < MADE_TYPES; i++)
        if (run.made[i].type != NULL && !run.made[i].is_retired)
            retire(&run.made[i]);
}

static void end(void)
{
    unregister_roots();
    assert_int_equal(count_overlaps(run.mutator), 0);
    gc_mutator_detach(run.mutator);
    gc_heap_destroy(run.heap);
    for (uint32_t id = 1; id < run.count; id++)
        free_shadow(id);
    free(run.shadows);
    free(run.queue);
    free(run.marks);
    free(run.waiting);
}

uint64_t shadow_finish(void)
{
    uint64_t hash;

    shadow_tally.collections += shadow_collections();
    do {
        gc_collect(run.mutator, GC_OLD, NULL);
        compare(true);
    } while (run.dropped > 0);
    assert_int_equal(gc_verify(run.mutator), 0);
    mark_strong(true);
    hash = hash_of_graph();
    unfreeze();
    for (uint32_t root = 0; root < ROOTS; root++)
        root_set(root, 0, NULL);
    retire_types();
    run_all_calls();
    do {
        gc_collect(run.mutator, GC_OLD, NULL);
        compare(true);
    } while (run.dropped > 0);
    if (is_exact())
        assert_int_equal(recount(run.mutator).all_objects, 0);
    end();
    return hash;
}
