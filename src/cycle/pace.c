/* SPDX-License-Identifier: MIT
 *
 * The nursery is the main lever between time and memory. Where few of the
 * young survive, a nursery that fits the cache is the fastest: it is reused
 * warm. Where many do, each collection copies what a later one would have
 * found dead, so the nursery grows, but not past a share of what is live:
 * memory must stay in proportion.
 */
#include "cycle/pace.h"

#include "base/bits.h"

enum {
    MOST_ALLOCATING = 8,  /* mutators that the least nursery grows with, */
    FOR_SEVERAL = 150,    /* percent of that, where there are several */
    GROW_PERCENT = 15,    /* survival above which the nursery doubles, */
    SHRINK_PERCENT = 3,   /* below which it halves, */
    LASTING_PERCENT = 80, /* and from which a larger one may not help: */
    LASTING_RUN = 4,      /* so many collections in a row show that it does not, */
    DOUBTFUL_RUN = 2,     /* so many that it still does not */
    LEAST_PATIENCE = 32,  /* collections before it is tried again, doubled each time */
    MOST_PATIENCE = 512,
    LIVE_PERCENT = 75,           /* most of the nursery: of what is live, */
    ROOM_SHARE = 3,              /* and a part of the room left under the limit */
    MIDDLE_SHARE = 3,            /* gen1 is full with live bytes over this */
    SLACK_BYTES = 4 << 20,       /* growth that is always allowed, */
    SLACK_NURSERY = 12 << 20,    /* and a nursery, for each mutator that allocates */
    LEAST_EXTERNAL = 64 << 20,   /* bytes charged that call for a collection, at least */
    ONLY_GROWS_PERCENT = 95,     /* survival from which collections for growth gain nothing: */
    MOST_MORE_BYTES = 128 << 20, /* the next waits twice as long, but for this at most */
    PRETENURE_BYTES = 16 << 20,  /* live, from which a visit to the young is worth sparing, */
    MOST_BORN_BYTES = 512 << 20, /* and born old, after which the nursery is tried again */
    SEVERAL_MORE_PERCENT = 40,   /* growth added to growth where several allocate */
    SOFT_GROWTH_PERCENT = 15
};

static size_t clamp(size_t value, size_t low, size_t high)
{
    if (value > high)
        value = high;
    return value < low ? low : value;
}

static size_t saturating_add(size_t a, size_t b)
{
    return a + b < a ? SIZE_MAX : a + b;
}

/* value * percent / 100, or SIZE_MAX if that is more. */
static size_t percent_of(size_t value, uint32_t percent)
{
    size_t hundreds;

    if (__builtin_mul_overflow(value / 100, percent, &hundreds))
        return SIZE_MAX;
    return saturating_add(hundreds, value % 100 * percent / 100);
}

void gc_pace_start(struct gc_pace *pace)
{
    pace->nursery = pace->nursery_fixed != 0 ? pace->nursery_fixed : pace->nursery_min;
    pace->count1 = pace->count2 = 0;
    pace->live_full = 0;
    pace->only_grows = false;
    pace->patience = LEAST_PATIENCE;
    pace->patience_left = pace->lasting_run = 0;
    pace->is_lasting = false;
    pace->trigger = SLACK_BYTES;
}

/* Where nearly all of the young survive however large the nursery is (a cache,
 * a ring of messages), a small one is as good, and they are promoted in place:
 * it goes back to its least, and growing is tried again only later. */
static bool is_lasting(struct gc_pace *pace, bool lasts)
{
    if (pace->patience_left > 0) {
        pace->patience_left--;
        return true;
    }
    if (!lasts) {
        pace->lasting_run = 0;
        pace->patience = LEAST_PATIENCE;
        return false;
    }
    if (++pace->lasting_run < LASTING_RUN)
        return false;
    pace->lasting_run = 0;
    pace->patience_left = pace->patience;
    if (pace->patience < MOST_PATIENCE)
        pace->patience *= 2;
    return true;
}

/* A full collection does not tell how many of the newborns it found dead, and
 * there will be many more of them if those die young now: the nursery does. */
static void doubt(struct gc_pace *pace)
{
    if (!pace->is_lasting)
        return;
    pace->is_lasting = false;
    pace->patience_left = 0;
    pace->lasting_run = LASTING_RUN - DOUBTFUL_RUN;
}

/* What was born old is found dead by full collections alone. Where none comes for long,
 * or none that growth calls for (threshold2), the nursery has to tell. */
static bool may_go_on(const struct gc_pace *pace, const struct gc_pace_now *now)
{
    size_t held = saturating_add(now->live_bytes, now->external_bytes);

    return now->born_bytes < MOST_BORN_BYTES &&
           (held <= pace->trigger || pace->count2 >= pace->threshold2);
}

/* Its least is for each mutator that allocates: cores have caches of their own,
 * and a stop costs the more the more threads there are. So is what it may grow to
 * however little is live. */
static void adapt_nursery(struct gc_pace *pace, const struct gc_pace_now *now)
{
    size_t before = now->young_before, survived = now->young_survived;
    size_t allocating = gc_max(gc_min(now->allocating, MOST_ALLOCATING), 1);
    size_t all = percent_of(pace->nursery_min * allocating, pace->several ? FOR_SEVERAL : 100);
    size_t least = clamp(all, pace->nursery_min, pace->nursery_max);
    size_t share = gc_max(percent_of(now->live_bytes, LIVE_PERCENT), SLACK_NURSERY * allocating);
    size_t most = clamp(share, least, pace->nursery_max);

    if (before >= pace->nursery / 2 || now->all_promoted) {
        bool lasts = now->all_promoted
                         ? may_go_on(pace, now)
                         : is_lasting(pace, survived > percent_of(before, LASTING_PERCENT));

        if (now->all_promoted && !lasts)
            doubt(pace);
        pace->is_lasting = lasts && now->live_bytes >= PRETENURE_BYTES;
        if (lasts)
            pace->nursery = least;
        else if (survived < percent_of(before, SHRINK_PERCENT))
            pace->nursery /= 2;
        else if (survived > percent_of(before, GROW_PERCENT))
            pace->nursery = saturating_add(pace->nursery, pace->nursery);
    }
    pace->nursery = clamp(pace->nursery, least, most);
}

/* Near the limit the nursery must leave room for what survives it. */
static size_t fit_room(size_t nursery, size_t room)
{
    size_t most = room / ROOM_SHARE, least = 64 << 10;

    if (nursery <= most)
        return nursery;
    return most < least ? least : most;
}

/* How many percent `part` is of `whole`. */
static unsigned percent_in(size_t part, size_t whole)
{
    return whole < 100 ? 0 : (unsigned)(part / (whole / 100));
}

/* A small sample foretells nothing. */
static void note_survival(struct gc_pace *pace, const struct gc_pace_now *now)
{
    size_t least = pace->nursery / 2;

    pace->survival_percent[GC_YOUNG] =
        now->young_before < least ? 0 : percent_in(now->young_survived, now->young_before);
    if (now->generation != GC_MIDDLE)
        return;
    pace->middle_passes = now->middle_passed ? pace->middle_passes + 1 : 0;
    if (!now->middle_passed)
        pace->survival_percent[GC_MIDDLE] =
            now->middle_before < least ? 0 : percent_in(now->middle_survived, now->middle_before);
}

static uint32_t growth_for(const struct gc_pace *pace, bool over_soft_limit)
{
    return over_soft_limit ? SOFT_GROWTH_PERCENT : pace->growth_percent;
}

/* Bytes that a full collection shall leave when the next one comes. Collections gain a
 * program nothing while it builds its data; what dies after that is found somewhat
 * later, once. The best growth is as the root of the rate of allocation (Kirisame, Shenoy
 * and Panchekha, Optimal Heap Limits for Reducing Browser Memory Use, OOPSLA 2022), of
 * which two threads have twice one's. */
static size_t next_trigger(const struct gc_pace *pace, bool over_soft_limit)
{
    size_t growth = percent_of(pace->live_full, growth_for(pace, over_soft_limit));

    if (!over_soft_limit) {
        if (pace->several)
            growth = saturating_add(growth, percent_of(growth, SEVERAL_MORE_PERCENT));
        if (pace->only_grows)
            growth = saturating_add(growth, gc_min(growth, MOST_MORE_BYTES));
        growth = gc_max(growth, SLACK_BYTES);
    }
    return saturating_add(pace->live_full, growth);
}

void gc_pace_after(struct gc_pace *pace, const struct gc_pace_now *now)
{
    size_t held = saturating_add(now->live_bytes, now->external_bytes);

    pace->several = now->allocating > 1;
    if (now->generation == GC_OLD && now->reason == GC_REASON_GROWTH)
        pace->only_grows = now->survived > percent_of(now->condemned, ONLY_GROWS_PERCENT);
    if (now->generation == GC_YOUNG) {
        pace->count1++;
    } else if (now->generation == GC_MIDDLE) {
        pace->count1 = 0;
        pace->count2++;
    } else {
        pace->count1 = pace->count2 = 0;
        pace->live_full = held;
        doubt(pace);
    }
    pace->is_pressed = now->over_soft_limit;
    pace->trigger = next_trigger(pace, now->over_soft_limit);
    if (!now->all_promoted)
        note_survival(pace, now);
    if (pace->nursery_fixed != 0)
        pace->nursery = pace->nursery_fixed;
    else if (pace->full_only)
        pace->nursery = clamp(percent_of(held, growth_for(pace, now->over_soft_limit)),
                              2 * SLACK_BYTES, SIZE_MAX);
    else
        adapt_nursery(pace, now);
    if (pace->nursery_fixed == 0)
        pace->nursery = fit_room(pace->nursery, now->room_bytes);
}

bool gc_pace_external_due(const struct gc_pace *pace, size_t charged)
{
    size_t share = pace->live_full / 4;

    return charged >= (share > LEAST_EXTERNAL ? share : LEAST_EXTERNAL);
}

/* gen1 is as large as is worth waiting for. */
static bool is_middle_full(const struct gc_pace *pace, size_t middle_bytes)
{
    size_t share = pace->live_full / MIDDLE_SHARE;

    return middle_bytes > (share > 2 * pace->nursery_min ? share : 2 * pace->nursery_min);
}

unsigned gc_pace_choose(const struct gc_pace *pace, size_t middle_bytes, size_t held_bytes,
                        gc_reason *reason)
{
    if (pace->full_only) {
        *reason = GC_REASON_GROWTH;
        return GC_OLD;
    }
    if ((pace->count2 >= pace->threshold2 || pace->is_pressed) && held_bytes > pace->trigger) {
        *reason = GC_REASON_GROWTH;
        return GC_OLD;
    }
    if (pace->count1 < pace->threshold1 && !is_middle_full(pace, middle_bytes)) {
        *reason = GC_REASON_NURSERY;
        return GC_YOUNG;
    }
    *reason = GC_REASON_COUNT;
    return GC_MIDDLE;
}
