/* SPDX-License-Identifier: MIT
 *
 * Binary trees, after the Benchmarks Game's version of H. Boehm's GCBench:
 * short-lived perfect trees of every second depth, while one deep tree lives.
 * Every leaf is an object. The parameter is the depth.
 */
#include "bench.h"

typedef struct node {
    struct node *left, *right;
} node;

TYPE_STRUCT(node, offsetof(node, left), offsetof(node, right));

enum { MIN_DEPTH = 4 };

static node *long_lived;

static node *bottom_up(subject *s, int depth)
{
    node *left = NULL, *right = NULL, *top;

    FRAME(s, frame, &left, &right);
    if (depth > 0) {
        left = bottom_up(s, depth - 1);
        right = bottom_up(s, depth - 1);
    }
    top = NEW(s, node);
    top->left = left;
    top->right = right;
    FRAME_POP(s, frame);
    return top;
}

static uint64_t count(const node *top)
{
    return top->left == NULL ? 1 : 1 + count(top->left) + count(top->right);
}

static void drop_tree(subject *s, node *top)
{
    if (!SUBJECT_DROPS)
        return;
    if (top->left != NULL) {
        drop_tree(s, top->left);
        drop_tree(s, top->right);
    }
    DROP(s, top);
}

static uint64_t one_tree(subject *s, int depth)
{
    node *top = bottom_up(s, depth);
    uint64_t nodes = count(top);

    drop_tree(s, top);
    return nodes;
}

static uint64_t work(subject *s, bench *b)
{
    int shift = 0, max_depth;
    uint64_t check;

    for (double scale = b->scale; scale < 0.75; scale *= 2)
        shift--;
    for (double scale = b->scale; scale > 1.5; scale /= 2)
        shift++;
    max_depth = (b->parameter > 0 ? b->parameter : 18) + shift;
    if (max_depth < MIN_DEPTH + 2)
        max_depth = MIN_DEPTH + 2;

    subject_root(s, &long_lived);
    check = digest(0, one_tree(s, max_depth + 1));
    long_lived = bottom_up(s, max_depth);
    b->live_bytes = sizeof(node) << (max_depth + 2); /* the stretch tree is the fullest */
    b->objects = (double)((size_t)6 << max_depth);   /* the two large trees, first */
    for (int depth = MIN_DEPTH; depth <= max_depth; depth += 2) {
        uint64_t nodes = 0;

        for (long i = 1L << (max_depth - depth + MIN_DEPTH); i > 0; i--)
            nodes += one_tree(s, depth);
        check = digest(check, nodes);
        b->objects += (double)nodes;
    }
    return digest(check, count(long_lived));
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
