/* SPDX-License-Identifier: MIT
 *
 * How a team comes and goes.
 */
#include "os/os.h"
#include "trace/post.h"

enum { FIRST_WORDS = 4 << 10, KEPT_WORDS = 32 << 10 };

static bool allocate_workers(struct gc_team *team)
{
    size_t each = sizeof *team->workers + team->size * sizeof(struct gc_parcel *);

    team->memory = gc_os.allocate(team->size * each + GC_APART);
    if (team->memory == NULL)
        return false;
    team->workers = (struct gc_worker *)gc_round_up((uintptr_t)team->memory, GC_APART);
    return true;
}

static bool create_worker(struct gc_team *team, unsigned index, size_t capacity)
{
    struct gc_worker *worker = &team->workers[index];

    worker->team = team;
    worker->index = index;
    worker->parcels = (struct gc_parcel **)(team->workers + team->size) + index * team->size;
    return gc_lane_create(&worker->tracer.stack, capacity, FIRST_WORDS) &&
           gc_lane_create(&worker->left, capacity, FIRST_WORDS);
}

/* At least those that workers hold for each other, and a few under way. */
static bool create_pool(struct gc_team *team, size_t capacity)
{
    size_t least = (size_t)team->size * team->size * GC_PARCEL_WORDS;

    return gc_lane_create(&team->pool, gc_max(team->size * capacity, least), FIRST_WORDS);
}

bool gc_team_create(struct gc_team *team, unsigned size, size_t capacity)
{
    bool made;

    *team = (struct gc_team){.size = size};
    if (size < 2)
        return true;
    if (!gc_lock_create(&team->lock))
        return false;
    if (!gc_signal_create(&team->changed)) {
        gc_lock_destroy(&team->lock);
        return false;
    }
    team->is_made = true;
    made = allocate_workers(team) && create_pool(team, capacity);
    for (unsigned i = 0; made && i < size; i++)
        made = create_worker(team, i, capacity);
    return made;
}

void gc_team_destroy(struct gc_team *team)
{
    if (!team->is_made)
        return;
    gc_team_stop(team);
    for (unsigned i = 0; team->workers != NULL && i < team->size; i++) {
        struct gc_worker *worker = &team->workers[i];

        gc_lane_destroy(&worker->tracer.stack);
        gc_lane_destroy(&worker->left);
    }
    gc_lane_destroy(&team->pool);
    if (team->memory != NULL)
        gc_os.free(team->memory);
    gc_signal_destroy(&team->changed);
    gc_lock_destroy(&team->lock);
    *team = (struct gc_team){.size = 0};
}

/* Fewer than wished are as good; they are begun, and wait, before it returns. */
static void start_helpers(struct gc_team *team)
{
    while (team->helpers + 1 < team->size) {
        struct gc_worker *worker = &team->workers[team->helpers + 1];

        if (!gc_os_thread_start(&worker->thread, gc_team_help, worker))
            break;
        team->helpers++;
    }
    gc_lock_take(&team->lock);
    team->sleeping++;
    while (team->waiting < team->helpers)
        gc_signal_wait(&team->changed, &team->lock);
    team->sleeping--;
    gc_lock_give(&team->lock);
}

bool gc_team_start(struct gc_team *team)
{
    if (team->size < 2)
        return false;
    if (team->helpers == 0)
        start_helpers(team);
    return team->helpers > 0 && gc_post_begin(team);
}

void gc_team_stop(struct gc_team *team)
{
    if (team->helpers == 0)
        return;
    gc_lock_take(&team->lock);
    team->ends = true;
    gc_post_tell(team);
    gc_lock_give(&team->lock);
    for (; team->helpers > 0; team->helpers--)
        gc_os_thread_join(&team->workers[team->helpers].thread);
    team->ends = false;
}

void gc_team_shrink(struct gc_team *team)
{
    if (!team->is_made)
        return;
    for (unsigned i = 0; i < team->size; i++) {
        gc_lane_shrink(&team->workers[i].left, KEPT_WORDS);
        gc_lane_shrink(&team->workers[i].tracer.stack, KEPT_WORDS);
    }
    gc_post_end(team);
    gc_lane_shrink(&team->pool, KEPT_WORDS);
}

static size_t words_of(const struct gc_lane *lane, bool at_most)
{
    return at_most ? lane->capacity : lane->committed;
}

size_t gc_team_words(const struct gc_team *team, bool at_most)
{
    size_t words = words_of(&team->pool, at_most);
    unsigned workers = team->is_made && team->workers != NULL ? team->size : 0;

    for (unsigned i = 0; i < workers; i++)
        words += words_of(&team->workers[i].tracer.stack, at_most) +
                 words_of(&team->workers[i].left, at_most);
    return words;
}
