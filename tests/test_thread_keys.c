/* SPDX-License-Identifier: MIT
 *
 * Where the process has no thread key left, threads cannot be told when they
 * end: they are not attached.
 */
#include "support/child.h"
#include "support/heap.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 7 };

/* In a process in which no thread was ever attached. */
static void attach_without_keys(void *data)
{
    gc_options options = test_options();
    gc_mutator *mutator = NULL;
    gc_heap *heap = NULL;
    pthread_key_t key;

    (void)data;
    while (pthread_key_create(&key, NULL) == 0)
        ;
    if (gc_heap_create(&options, &heap) != GC_OK)
        _exit(1);
    for (int i = 0; i < 2; i++)
        if (gc_mutator_attach(heap, &mutator) != GC_NO_MEMORY || mutator != NULL)
            _exit(2);
    gc_heap_destroy(heap);
    _exit(REFUSED);
}

static void without_thread_keys_nobody_is_attached(void **state)
{
    char said[1000];
    int ended = run_in_child(attach_without_keys, NULL, said, sizeof said);

    (void)state;
    assert_string_equal(said, "");
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_thread_keys_nobody_is_attached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
