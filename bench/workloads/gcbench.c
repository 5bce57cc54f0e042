/* SPDX-License-Identifier: MIT
 *
 * GCBench, by J. Ellis and P. Kovac, changed by H. Boehm: trees built top down
 * (stores into older objects) and bottom up, beside a long-lived tree and a
 * large array without references. The whole is done six times; or four times,
 * shared by the parameter's number of threads.
 */
#include "threads.h"

typedef struct node {
    struct node *left, *right;
    int i, j;
} node;

TYPE_STRUCT(node, offsetof(node, left), offsetof(node, right));

enum {
    STRETCH_DEPTH = 18,
    LONG_LIVED_DEPTH = 16,
    ARRAY_LENGTH = 500000,
    MIN_DEPTH = 4,
    MAX_DEPTH = 16
};

/* What a thread keeps while it builds trees. */
static struct kept {
    node *long_lived;
    double *array;
} kept[BENCH_MOST_THREADS];

static node *new_node(subject *s, node *left, node *right)
{
    node *top;

    FRAME(s, frame, &left, &right);
    top = NEW(s, node);
    top->left = left;
    top->right = right;
    top->i = top->j = 0;
    FRAME_POP(s, frame);
    return top;
}

static node *bottom_up(subject *s, int depth)
{
    node *left = NULL, *right = NULL, *top;

    if (depth == 0)
        return new_node(s, NULL, NULL);
    FRAME(s, frame, &left, &right);
    left = bottom_up(s, depth - 1);
    right = bottom_up(s, depth - 1);
    top = new_node(s, left, right);
    FRAME_POP(s, frame);
    return top;
}

static void populate(subject *s, int depth, node *top)
{
    if (depth == 0)
        return;
    FRAME(s, frame, &top);
    {
        node *left = new_node(s, NULL, NULL);

        STORE(s, top, top->left, left);
    }
    {
        node *right = new_node(s, NULL, NULL);

        STORE(s, top, top->right, right);
    }
    populate(s, depth - 1, top->left);
    populate(s, depth - 1, top->right);
    FRAME_POP(s, frame);
}

static node *top_down(subject *s, int depth)
{
    node *top = new_node(s, NULL, NULL);

    FRAME(s, frame, &top);
    populate(s, depth, top);
    FRAME_POP(s, frame);
    return top;
}

/* One path to a leaf: the original looks no further, and walking whole trees
 * would measure the walk. */
static uint64_t path_length(const node *top, uint64_t turns)
{
    uint64_t length = 0;

    for (; top != NULL; turns >>= 1, length++)
        top = turns & 1 ? top->right : top->left;
    return length;
}

static void drop_tree(subject *s, node *top)
{
    if (!SUBJECT_DROPS || top == NULL)
        return;
    drop_tree(s, top->left);
    drop_tree(s, top->right);
    DROP(s, top);
}

static uint64_t time_depth(subject *s, bench *b, int depth)
{
    size_t tree = ((size_t)2 << depth) - 1;
    size_t repeats = 2 * (((size_t)2 << STRETCH_DEPTH) - 1) / tree;
    uint64_t check = 0;

    b->objects += 2.0 * (double)(repeats * tree);
    for (size_t i = 0; i < repeats; i++) {
        node *top = top_down(s, depth);

        check += path_length(top, i);
        drop_tree(s, top);
    }
    for (size_t i = 0; i < repeats; i++) {
        node *top = bottom_up(s, depth);

        check += path_length(top, i);
        drop_tree(s, top);
    }
    return check;
}

static void drop_kept(subject *s, struct kept *k)
{
    drop_tree(s, k->long_lived);
    DROP(s, k->array);
    k->long_lived = NULL;
    k->array = NULL;
}

static uint64_t repetition(subject *s, bench *b, struct kept *k)
{
    node *stretch = bottom_up(s, STRETCH_DEPTH);
    uint64_t check = digest(0, path_length(stretch, 0));

    drop_tree(s, stretch);
    b->objects += ((size_t)2 << STRETCH_DEPTH) + ((size_t)2 << LONG_LIVED_DEPTH);
    k->long_lived = top_down(s, LONG_LIVED_DEPTH);
    k->array = new_bytes(s, ARRAY_LENGTH * sizeof(double));
    k->array[0] = 0;
    for (int i = 1; i < ARRAY_LENGTH; i++)
        k->array[i] = i < ARRAY_LENGTH / 2 ? 1.0 / i : 0;
    for (int depth = MIN_DEPTH; depth <= MAX_DEPTH; depth += 2)
        check = digest(check, time_depth(s, b, depth));
    check = digest(check, path_length(k->long_lived, 0x5555));
    check = digest(check, (uint64_t)(k->array[1000] * 1e9));
    drop_kept(s, k);
    return check;
}

static uint64_t share(subject *s, bench *b)
{
    struct kept *k = &kept[b->lane];
    size_t repeats = bench_shared(b, b->parameter > 0 ? 4 : 6, 1);
    uint64_t check = 0;

    subject_root(s, &k->long_lived);
    subject_root(s, &k->array);
    b->live_bytes = sizeof(node) << (STRETCH_DEPTH + 1);
    for (size_t i = 0; i < repeats; i++)
        check = digest(check, repetition(s, b, k));
    return check;
}

static uint64_t work(subject *s, bench *b)
{
    return bench_threads(s, b, share);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
