/* SPDX-License-Identifier: MIT
 *
 * A splay tree of 100,000 nodes, each with a payload tree of its own, and
 * 200,000 changes: a new key goes in, the greatest below it goes out. After
 * V8's splay benchmark; the tree is Sleator and Tarjan's, top down.
 */
#include "bench.h"

typedef struct leaf {
    int32_t numbers[10];
    char text[24];
} leaf;

typedef struct branch {
    void *left, *right; /* branches, or leaves at the bottom */
} branch;

typedef struct node {
    struct node *left, *right;
    uint64_t key;
    branch *payload;
} node;

TYPE_LEAF(leaf);
TYPE_STRUCT(branch, offsetof(branch, left), offsetof(branch, right));
TYPE_STRUCT(node, offsetof(node, left), offsetof(node, right), offsetof(node, payload));

enum { PAYLOAD_DEPTH = 4 };

static node *root;
static node *header; /* splaying assembles the halves below it */

static leaf *new_leaf(subject *s, uint64_t key)
{
    leaf *l = NEW(s, leaf);

    for (int i = 0; i < 10; i++)
        l->numbers[i] = i;
    memset(l->text, 0, sizeof l->text);
    memcpy(l->text, "String for ", 11);
    memcpy(l->text + 11, &key, sizeof key);
    return l;
}

static void *new_payload(subject *s, int depth, uint64_t key)
{
    void *left = NULL, *right = NULL;
    branch *b;

    if (depth == 0)
        return new_leaf(s, key);
    FRAME(s, frame, &left, &right);
    left = new_payload(s, depth - 1, key);
    right = new_payload(s, depth - 1, key);
    b = NEW(s, branch);
    b->left = left;
    b->right = right;
    FRAME_POP(s, frame);
    return b;
}

static void drop_payload(subject *s, int depth, void *payload)
{
    if (!SUBJECT_DROPS)
        return;
    if (depth > 0) {
        drop_payload(s, depth - 1, ((branch *)payload)->left);
        drop_payload(s, depth - 1, ((branch *)payload)->right);
    }
    DROP(s, payload);
}

static node *rotate_right(subject *s, node *top)
{
    node *up = top->left;

    STORE(s, top, top->left, up->right);
    STORE(s, up, up->right, top);
    return up;
}

static node *rotate_left(subject *s, node *top)
{
    node *up = top->right;

    STORE(s, top, top->right, up->left);
    STORE(s, up, up->left, top);
    return up;
}

/* Brings `key`, or a neighbour of where it would be, to the root. */
static void splay(subject *s, uint64_t key)
{
    node *left = header, *right = header, *at = root;

    header->left = header->right = NULL;
    while (key != at->key) {
        if (key < at->key) {
            if (at->left != NULL && key < at->left->key)
                at = rotate_right(s, at);
            if (at->left == NULL)
                break;
            STORE(s, right, right->left, at);
            right = at;
            at = at->left;
        } else {
            if (at->right != NULL && key > at->right->key)
                at = rotate_left(s, at);
            if (at->right == NULL)
                break;
            STORE(s, left, left->right, at);
            left = at;
            at = at->right;
        }
    }
    STORE(s, left, left->right, at->left);
    STORE(s, right, right->left, at->right);
    STORE(s, at, at->left, header->right);
    STORE(s, at, at->right, header->left);
    root = at;
}

static node *new_node(subject *s, uint64_t key)
{
    branch *payload = new_payload(s, PAYLOAD_DEPTH, key);
    node *n;

    FRAME(s, frame, &payload);
    n = NEW(s, node);
    n->key = key;
    n->payload = payload;
    n->left = n->right = NULL;
    FRAME_POP(s, frame);
    return n;
}

/* The key is new: splaying has brought a neighbour to the root. */
static void insert(subject *s, uint64_t key)
{
    node *n = new_node(s, key);

    if (root != NULL && key > root->key) {
        n->left = root;
        n->right = root->right;
        root->right = NULL;
    } else if (root != NULL) {
        n->right = root;
        n->left = root->left;
        root->left = NULL;
    }
    root = n;
}

static bool has_key(subject *s, uint64_t key)
{
    if (root == NULL)
        return false;
    splay(s, key);
    return root->key == key;
}

static uint64_t insert_new_key(subject *s, uint64_t *chance)
{
    uint64_t key;

    do
        key = random_next(chance);
    while (has_key(s, key));
    insert(s, key);
    return key;
}

static uint64_t remove_root(subject *s)
{
    node *gone = root;
    uint64_t key = gone->key;

    if (gone->left == NULL) {
        root = gone->right;
    } else {
        node *right = gone->right;

        root = gone->left;
        splay(s, key);
        STORE(s, root, root->right, right);
    }
    drop_payload(s, PAYLOAD_DEPTH, gone->payload);
    DROP(s, gone);
    return key;
}

/* Removes the greatest key below that of the root, or else the root itself. */
static uint64_t remove_below_root(subject *s)
{
    const node *below = root->left;

    if (below != NULL) {
        while (below->right != NULL)
            below = below->right;
        splay(s, below->key);
    }
    return remove_root(s);
}

static void open_tree(subject *s)
{
    subject_root(s, &root);
    subject_root(s, &header);
    header = NEW(s, node);
    header->left = header->right = NULL;
    header->key = 0;
    header->payload = NULL;
}

static uint64_t work(subject *s, bench *b)
{
    size_t nodes = bench_scaled(b, 100e3, 100), changes = bench_scaled(b, 200e3, 200);
    uint64_t chance = 49734321, check = 0;

    b->live_bytes = nodes * (sizeof(node) - sizeof(branch) +
                             ((sizeof(branch) + sizeof(leaf)) << PAYLOAD_DEPTH));
    open_tree(s);
    for (size_t i = 0; i < nodes; i++)
        check = digest(check, insert_new_key(s, &chance));
    bench_tick(b);
    for (size_t i = 0; i < changes; i++) {
        check = digest(check, insert_new_key(s, &chance));
        check = digest(check, remove_below_root(s));
        bench_tick(b);
    }
    bench_stop(b);
    for (size_t i = 0; i < nodes; i++) {
        const branch *payload = root->payload;

        for (int depth = 1; depth < PAYLOAD_DEPTH; depth++)
            payload = payload->left;
        check = digest(check, (uint64_t)((const leaf *)payload->right)->text[11]);
        check = digest(check, remove_root(s));
    }
    return check;
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
