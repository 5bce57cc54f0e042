/* SPDX-License-Identifier: MIT
 *
 * A thousand million stores of references into a few thousand old objects, on a heap
 * that does not collect meanwhile: the price of the write barrier alone. Set
 * Strata beside Strata without barriers, and beside any other subject.
 */
#include "bench.h"

typedef struct node {
    struct node *links[3];
    uint64_t value;
} node;

TYPE_STRUCT(node, offsetof(node, links[0]), offsetof(node, links[1]), offsetof(node, links[2]));

enum { NODES = 4096, COLLECTIONS_UNTIL_OLD = 3 };

static node **nodes;

static void make_old_nodes(subject *s)
{
    nodes = new_references(s, NODES);
    for (size_t i = 0; i < NODES; i++) {
        node *n = NEW(s, node);

        memset(n->links, 0, sizeof n->links);
        n->value = i;
        STORE(s, nodes, nodes[i], n);
    }
    for (int i = 0; i < COLLECTIONS_UNTIL_OLD; i++)
        subject_collect(s);
}

/* Each round links every node to three at other distances. */
static void relink(subject *s, size_t round)
{
    for (size_t i = 0; i < NODES; i++) {
        node *n = nodes[i];

        STORE(s, n, n->links[0], nodes[(i + round) % NODES]);
        STORE(s, n, n->links[1], nodes[(i + 3 * round) % NODES]);
        STORE(s, n, n->links[2], nodes[(i ^ round) % NODES]);
    }
}

static uint64_t work(subject *s, bench *b)
{
    size_t rounds = bench_scaled(b, 1e9 / (3 * NODES), 10);
    uint64_t check = 0;

    subject_root(s, &nodes);
    b->live_bytes = NODES * (sizeof(node) + sizeof(node *));
    make_old_nodes(s);
    bench_start(b);
    for (size_t round = 0; round < rounds; round++) {
        relink(s, round);
        bench_escape(nodes);
    }
    bench_stop(b);
    bench_figure(b, "ns_per_store",
                 (double)(b->stop_ns - b->start_ns) / (double)(rounds * 3 * NODES));
    for (size_t i = 0; i < NODES; i++)
        for (int k = 0; k < 3; k++)
            check = digest(check, nodes[i]->links[k]->value);
    return check;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
