/* SPDX-License-Identifier: MIT */
#include "support/sweep.h"

#include "support/fault.h"

static bool is_installed;

int fault_setup(void **state)
{
    (void)state;
    fault_install();
    is_installed = true;
    return 0;
}

int fault_teardown(void **state)
{
    (void)state;
    if (is_installed) {
        fault_disarm();
        fault_remove();
    }
    is_installed = false;
    return 0;
}

bool sweep_once(const struct scenario *scenario, unsigned point, unsigned times, unsigned mask)
{
    gc_options options = plain_options(256 * KIB);
    struct world *world = world_make(scenario->options != NULL ? scenario->options : &options);
    unsigned failed;

    if (scenario->arrange != NULL)
        scenario->arrange(world);
    fault_arm(point, times, mask);
    scenario->act(world);
    failed = fault_failed();
    fault_disarm();
    assert_int_equal(gc_verify(world->mutator), 0);
    scenario->check(world);
    for (unsigned generation = 0; generation < GC_GENERATIONS; generation++) {
        gc_collect(world->mutator, generation, NULL);
        scenario->check(world);
    }
    world_end(world);
    if (!fault_is_clean())
        fail_msg("%s: point %u, mask %#x: %zu reservations and %zu allocations left",
                 scenario->name, point, mask, fault_live_reservations(), fault_live_allocations());
    return failed > 0;
}

/* How many points there are: each fails once, then it and all after it. */
static unsigned sweep(const struct scenario *scenario, unsigned mask)
{
    unsigned step = is_slowed() ? 13 : 1;
    unsigned point = 0;

    while (sweep_once(scenario, point, 1, mask)) {
        assert_true(sweep_once(scenario, point, UINT_MAX, mask));
        point += step;
    }
    return point;
}

void sweep_all(const struct scenario *scenario, bool is_met)
{
    unsigned points = sweep(scenario, FAULT_ALL);

    for (unsigned mask = 1; mask < FAULT_ALL; mask <<= 1)
        (void)sweep(scenario, mask);
    assert_true(points > 0 || !is_met);
}
