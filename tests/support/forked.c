/* SPDX-License-Identifier: MIT */
#include "support/forked.h"

#include "support/threads.h"

#include <strata/fork.h>
#include <sys/wait.h>
#include <unistd.h>

struct world *make_followed(const char *settings)
{
    struct world *world = make_shared(settings);

    world->root[0] = build_list(world->mutator, 1000);
    assert_int_equal(gc_fork_follow(world->heap), GC_OK);
    assert_int_equal(gc_fork_follow(world->heap), GC_OK); /* as good as once */
    return world;
}

void end_followed(struct world *world)
{
    assert_true(lives_on(world, world->mutator));
    world_end(world);
}

bool lives_on(struct world *world, gc_mutator *mutator)
{
    bool well = gc_verify(mutator) == 0;

    for (unsigned i = 0; i < 6 && well; i++) {
        struct node *list = NULL;

        GC_FRAME(mutator, frame, &list);
        list = build_list(mutator, 2000);
        gc_collect(mutator, i % GC_GENERATIONS, NULL);
        well = is_intact_list(list, 2000) && gc_verify(mutator) == 0;
        gc_frame_pop(mutator, &frame);
    }
    return well && is_intact_list(world->root[0], 1000);
}

void end_or_wait(pid_t pid, bool well)
{
    int status = -1;

    if (pid == 0)
        _exit(well ? 0 : 1);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

void fork_followed(struct world *world, gc_mutator *mutator, child_fn *act)
{
    pid_t pid = fork();

    end_or_wait(pid, pid == 0 && act(world, mutator));
}
