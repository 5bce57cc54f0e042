/* SPDX-License-Identifier: MIT */
#include "support/doomed.h"

#include <pthread.h>
#include <stdio.h>

struct world *doomed;
struct node *doomed_node;
struct node foreign;

static void make(gc_check check)
{
    gc_options options = test_options();

    options.check = check;
    options.stacks = GC_STACKS_EXACT;
    doomed = world_make(&options);
    doomed->root[0] = doomed_node = make_node(doomed->mutator, 1);
}

void make_doomed(void)
{
    make(GC_CHECK_CHEAP);
}

void make_doomed_unchecked(void)
{
    make(GC_CHECK_OFF);
}

struct errand {
    void (*act)(void);
};

static void *run(void *data)
{
    ((struct errand *)data)->act();
    return NULL;
}

void on_another_thread(void (*act)(void))
{
    struct errand errand = {act};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run, &errand), 0);
    (void)pthread_join(thread, NULL);
}

void expect_misuse(void (*act)(void), const char *function, const char *cause)
{
    char message[200];

    (void)snprintf(message, sizeof message, "strata: %s: %s", function, cause);
    expect_abort(act, message);
}
