/* SPDX-License-Identifier: MIT
 *
 * One collection, told in order. Minor, middle and full are the same story
 * with another generation.
 */
#include "cycle/phases.h"

#include "base/bits.h"
#include "os/os.h"
#include "trace/ephemerons.h"

enum {
    DEMAND_MARGIN = 16,    /* the part more than was needed that stays */
    KEPT_STACK = 32 << 10, /* words of the mark stack, when memory is given back */
    TEAM_BYTES = 16 << 20, /* condemned, from which a team marks */
    MANY_HOLDERS = 256,    /* in the log: what they refer to is not in cache */
    ONE_FORGOTTEN = 8      /* collections, of the mutators that allocate no more */
};

static void reach(struct gc_collector *collector, enum gc_phase phase)
{
    collector->phase = phase;
    if (collector->on_phase != NULL)
        collector->on_phase(collector, phase);
}

void gc_flush_log(struct gc_collector *collector, struct gc_mutator *mutator)
{
    for (size_t i = 0; i < mutator->log_count; i++)
        gc_log_add(&collector->remembered, mutator->log[i]);
    collector->remembered.logged += mutator->log_count;
    __atomic_store_n(&mutator->log_count, 0, __ATOMIC_RELAXED);
}

static void flush_logs(struct gc_collector *collector)
{
    struct gc_mutator *mutator = collector->world.mutators;

    for (; mutator != NULL; mutator = mutator->next)
        gc_flush_log(collector, mutator);
}

/* Where threads are more than cores, not each has a turn between collections:
 * they are forgotten one by one, every so many collections. */
static void note_allocating(struct gc_collector *collector, size_t count)
{
    if (collector->allocating > count && collector->collections % ONE_FORGOTTEN != 0)
        return;
    collector->allocating = gc_max(count, collector->allocating - (collector->allocating > count));
    collector->spaces.apart = collector->allocating > 1;
}

/* Counts the mutators that have one. */
static void retire_runs(struct gc_collector *collector)
{
    struct gc_mutator *mutator = collector->world.mutators;
    size_t count = 0;

    for (; mutator != NULL; mutator = mutator->next) {
        count += mutator->run.block != GC_NO_BLOCK;
        gc_mutator_retire_run(mutator, &collector->spaces);
    }
    note_allocating(collector, count);
    for (int kind = 0; kind <= GC_BLOCK_AMBIGUOUS; kind++)
        gc_young_run_close(&collector->spaces, &collector->born_pinned[kind]);
    gc_young_run_close(&collector->spaces, &collector->idle_run);
}

void gc_close_births(struct gc_collector *collector)
{
    if (collector->spaces.births == GC_NO_BLOCK)
        return;
    retire_runs(collector);
    gc_count_births(collector);
}

size_t gc_live_bytes(const struct gc_collector *collector)
{
    size_t bytes = 0;

    for (int i = 0; i < GC_GENERATIONS; i++)
        bytes += collector->spaces.generations[i].bytes;
    return bytes;
}

size_t gc_held_bytes(const struct gc_collector *collector)
{
    const struct gc_generation *generations = collector->spaces.generations;

    return generations[GC_MIDDLE].bytes + generations[GC_OLD].bytes + collector->external_bytes;
}

static size_t condemned_bytes(const struct gc_collector *collector, unsigned oldest)
{
    size_t bytes = collector->spaces.handed_bytes;

    for (unsigned i = 0; i <= oldest; i++)
        bytes += collector->spaces.generations[i].bytes;
    return bytes;
}

static enum gc_prefetch choose_prefetch(const struct gc_collector *collector, size_t condemned)
{
    if (condemned > collector->prefetch_bytes || (collector->stress & GC_STRESS_PREFETCH))
        return GC_PREFETCH_ALL;
    return collector->remembered.log.count > MANY_HOLDERS ? GC_PREFETCH_SHALLOW : GC_PREFETCH_NONE;
}

/* A team is for large heaps: to wake it costs as much as to mark a thousand
 * objects. Where several threads allocate there are cores that idle meanwhile. */
static struct gc_team *choose_team(struct gc_collector *collector, unsigned generation,
                                   size_t condemned)
{
    struct gc_team *team = &collector->team;
    bool several = collector->allocating > 1;

    if (collector->tracer.prefetch != GC_PREFETCH_ALL ||
        (condemned < TEAM_BYTES && !(collector->stress & GC_STRESS_PREFETCH)))
        return NULL;
    collector->misses_team = several && team->size < 2 && generation == GC_OLD;
    if ((collector->spares_team && !several) || !gc_team_start(team))
        return NULL;
    gc_team_begin(team, &collector->tracer);
    return team;
}

/* ---- What it did ---- */

static size_t survived_bytes(const struct gc_collector *collector)
{
    return collector->tracer.counts.moved_bytes + collector->tracer.counts.in_place_bytes;
}

static void report(struct gc_collector *collector, const struct gc_request *request,
                   size_t condemned, uint64_t started)
{
    const struct gc_trace_counts *counts = &collector->tracer.counts;
    gc_report *last = &collector->last;
    size_t survived = survived_bytes(collector);

    *last = (gc_report){.size = sizeof *last,
                        .generation = request->generation,
                        .reason = request->reason,
                        .reclaimed_bytes = condemned > survived ? condemned - survived : 0,
                        .survived_bytes = survived,
                        .survived_objects =
                            counts->objects[0] + counts->objects[1] + counts->objects[2],
                        .moved_bytes = counts->moved_bytes,
                        .promoted_bytes = counts->moved_bytes - counts->compacted_bytes +
                                          counts->promoted_in_place_bytes,
                        .promoted_in_place_bytes = counts->promoted_in_place_bytes,
                        .pause_ns = gc_os_now_ns() - started};
}

/* What earlier parts did adds to this one; what survived is this one's. */
static void add_earlier_parts(struct gc_collector *collector)
{
    gc_report *last = &collector->last, *first = &collector->earlier_parts;

    last->reclaimed_bytes += first->reclaimed_bytes;
    last->moved_bytes += first->moved_bytes;
    last->promoted_bytes += first->promoted_bytes;
    last->promoted_in_place_bytes += first->promoted_in_place_bytes;
    last->pause_ns += first->pause_ns;
    *first = (gc_report){0};
}

static unsigned pause_bucket(uint64_t pause_ns)
{
    unsigned bucket = pause_ns == 0 ? 0 : gc_highest_bit(pause_ns);

    return bucket < GC_PAUSE_BUCKETS ? bucket : GC_PAUSE_BUCKETS - 1;
}

static void account(struct gc_collector *collector)
{
    const gc_report *last = &collector->last;
    const struct gc_trace_counts *counts = &collector->tracer.counts;
    gc_generation_stats *stats = &collector->stats.generations[last->generation];

    collector->collections++;
    stats->collections++;
    stats->survived_bytes += last->survived_bytes;
    stats->promoted_in_place_bytes += last->promoted_in_place_bytes;
    stats->pause_total_ns += last->pause_ns;
    if (last->pause_ns > stats->pause_max_ns)
        stats->pause_max_ns = last->pause_ns;
    stats->pauses[pause_bucket(last->pause_ns)]++;
    collector->stats.moved_bytes += last->moved_bytes;
    collector->stats.pinned_objects = counts->pinned_objects;
}

/* Of each part, for the next one's trace counts anew. */
static void account_failures(struct gc_collector *collector)
{
    const struct gc_trace_counts *counts = &collector->tracer.counts;

    collector->stats.mark_overflows += counts->overflows;
    collector->stats.copy_failures += counts->copy_failures;
}

/* ---- What comes next ---- */

/* Every mutator is stopped. */
static void set_calm(struct gc_collector *collector, bool calm)
{
    struct gc_mutator *mutator = collector->world.mutators;

    collector->calm = calm;
    for (; mutator != NULL; mutator = mutator->next)
        mutator->fast.calm = calm;
}

/* `now` says what was collected; what is left of it is added here. */
static void pace(struct gc_collector *collector, struct gc_pace_now now)
{
    const struct gc_trace_counts *counts = &collector->tracer.counts;

    now.survived = survived_bytes(collector);
    now.handed_bytes = collector->spaces.handed_bytes;
    now.young_survived = counts->bytes[GC_MIDDLE] + counts->bytes[GC_YOUNG];
    now.middle_survived = counts->bytes[GC_OLD];
    now.middle_passed = collector->passed_middle;
    now.born_bytes = collector->spaces.births_bytes;
    now.live_bytes = gc_live_bytes(collector);
    now.allocating = collector->allocating;
    now.external_bytes = collector->external_bytes;
    now.room_bytes = gc_blocks_room(&collector->blocks, GC_FOR_MUTATOR);
    now.over_soft_limit = gc_blocks_committed(&collector->blocks) > collector->soft_limit;
    collector->stats.allocated_bytes += collector->spaces.handed_bytes;
    collector->spaces.handed_bytes = 0;
    collector->external_since = 0;
    gc_pace_after(&collector->pace, &now);
    collector->spaces.pretenures =
        (collector->stress == 0 ? collector->pace.is_lasting
                                : (collector->stress & GC_STRESS_PRETENURE) != 0) &&
        gc_may_pretenure(collector);
    if (!collector->spaces.pretenures)
        gc_adopt_births(collector, true); /* nothing is younger yet */
    set_calm(collector, collector->spaces.pretenures && now.all_promoted);
}

/* Some programs ask for a full collection when they have dropped much, and for no
 * other: then what was needed before is needed no more. */
static bool is_spike_over(const struct gc_collector *collector, const struct gc_request *request,
                          size_t used)
{
    return request->tidies && collector->decommit_delay == 1 && used < collector->demand / 2;
}

/* The most that the heap held of late: what it may need again. A higher mark
 * stands for `decommit_delay` full collections, of which each counts once, however
 * many its parts. */
static size_t recent_demand(struct gc_collector *collector, const struct gc_request *request,
                            size_t condemned, size_t used)
{
    const struct gc_pace *pace = &collector->pace;

    if (condemned < collector->demand && !request->again && !request->compact)
        collector->demand_age++;
    if (condemned >= collector->demand || collector->demand_age >= collector->decommit_delay) {
        collector->demand = condemned;
        collector->demand_age = 0;
    }
    if (is_spike_over(collector, request, used))
        collector->demand = used + gc_max(pace->nursery, pace->nursery_min) - pace->nursery_min;
    return collector->demand;
}

/* After a full collection, free memory beyond what was needed of late goes
 * back to the system. A program in a steady state keeps what it uses. */
static void decommit(struct gc_collector *collector, const struct gc_request *request,
                     size_t condemned)
{
    const struct gc_generation *frozen = &collector->spaces.generations[GC_FROZEN];
    size_t demand, wanted, used = collector->blocks.used_blocks - frozen->block_count;

    if (request->generation != GC_OLD)
        return;
    used = (used << GC_BLOCK_LOG2) - frozen->large_bytes;
    demand = recent_demand(collector, request, condemned, used);
    wanted = demand + gc_max(demand / DEMAND_MARGIN, collector->pace.nursery_min);
    if (gc_blocks_trim(&collector->blocks, wanted > used ? wanted - used : 0) > 0) {
        gc_lane_shrink(&collector->tracer.stack, KEPT_STACK);
        gc_team_shrink(&collector->team);
    }
}

/* ---- The story ---- */

/* Nothing is visited. */
static void promote_all(struct gc_collector *collector, const struct gc_request *request,
                        uint64_t started)
{
    size_t condemned = condemned_bytes(collector, GC_MIDDLE);

    gc_promote_all(collector);
    reach(collector, GC_PHASE_STOPPED);
    pace(collector, (struct gc_pace_now){.generation = GC_MIDDLE, .all_promoted = true});
    report(collector, request, condemned, started);
    account(collector);
    reach(collector, GC_PHASE_SWEPT);
    collector->phase = GC_PHASE_IDLE;
}

void gc_cycle_run(struct gc_collector *collector, const struct gc_request *request)
{
    uint64_t started = gc_os_now_ns();
    struct gc_tracer *tracer = &collector->tracer;
    size_t condemned, young, middle = collector->spaces.generations[GC_MIDDLE].bytes;

    collector->goes_on = request->goes_on;
    retire_runs(collector);
    flush_logs(collector);
    gc_check_seals(collector, request->generation);
    if (gc_shall_promote_all(collector, request)) {
        promote_all(collector, request, started);
        return;
    }
    if (request->generation == GC_OLD)
        gc_count_births(collector);
    else
        gc_adopt_births(collector, false);
    condemned = condemned_bytes(collector, request->generation);
    gc_quarantine_release(&collector->quarantine, 2 * condemned,
                          request->reason == GC_REASON_LIMIT);
    young = condemned_bytes(collector, GC_YOUNG);
    gc_tracer_begin(tracer, request->generation, choose_prefetch(collector, condemned));
    tracer->team = choose_team(collector, request->generation, condemned);
    reach(collector, GC_PHASE_STOPPED);

    gc_condemn(collector, request);
    reach(collector, GC_PHASE_CONDEMNED);

    gc_pin_all(collector);
    reach(collector, GC_PHASE_PINNED);

    gc_types_trace(&collector->types, tracer);
    gc_trace_remembered(collector);
    gc_trace_roots(collector);
    gc_trace_drain(tracer);
    gc_trace_ephemerons(tracer);
    reach(collector, GC_PHASE_MARKED);

    gc_queue_finalizers(collector);
    gc_clear_weak(collector);
    reach(collector, GC_PHASE_TRACED);

    gc_settle(collector);
    gc_tracer_end(tracer);
    reach(collector, GC_PHASE_SETTLED);

    gc_sweep(collector);
    gc_pin_again(collector);

    pace(collector, (struct gc_pace_now){.generation = request->generation,
                                         .reason = request->reason,
                                         .condemned = condemned,
                                         .young_before = young,
                                         .middle_before = middle});
    decommit(collector, request, condemned);
    report(collector, request, condemned, started);
    account_failures(collector);
    add_earlier_parts(collector);
    if (request->goes_on)
        collector->earlier_parts = collector->last;
    else
        account(collector);
    reach(collector, GC_PHASE_SWEPT);
    collector->phase = GC_PHASE_IDLE;
}

void gc_cycle_finish(struct gc_collector *collector)
{
    collector->earlier_parts = (gc_report){0};
    account(collector);
    gc_end_pins_once(collector);
}
