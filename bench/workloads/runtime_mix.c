/* SPDX-License-Identifier: MIT
 *
 * What the heap of a language runtime sees. A unit of work builds a small tree
 * of cells (closures, environments and vectors are all a link outwards and some
 * fields) with strings in it, from the top down, so that every field is a
 * barriered store. Lengths follow a power law: one in n is n or longer. Most
 * units die at once, one in eight is kept a while, one in forty for long. The
 * parameter's number of threads share the units and what is kept.
 */
#include "threads.h"

typedef struct cell {
    struct cell *outer; /* the enclosing cell; not owned */
    uint64_t texts;     /* bit i: field i is a string, else a cell or NULL */
    uint64_t count;
    void *fields[];
} cell;

TYPE_TRAILING(cell, offsetof(cell, outer));

typedef struct text {
    uint64_t length;
    char bytes[];
} text;

enum {
    RECENT = 20000,
    LASTING = 20000,
    UNIT_BYTES = 1000, /* mean */
    MAX_FIELDS = 60,
    MAX_TEXT_WORDS = 256,
    MAX_DEPTH = 3
};

/* What each thread keeps. */
static struct kept {
    cell **recent, **lasting;
} kept[BENCH_MOST_THREADS];

/* 1 to `most`; n or more with a probability of 1 / n. */
static size_t power_law(uint64_t *chance, size_t most)
{
    uint64_t draw = random_next(chance) >> 32;
    uint64_t n = ((uint64_t)1 << 32) / (draw + 1);

    return n < 1 ? 1 : n > most ? most : (size_t)n;
}

static text *new_text(subject *s, uint64_t *chance)
{
    size_t length = 8 * power_law(chance, MAX_TEXT_WORDS);
    text *t = new_bytes(s, sizeof(text) + length);

    t->length = length;
    memset(t->bytes, 'a' + (int)(length / 8 % 26), length);
    return t;
}

static cell *new_cell(subject *s, cell *outer, size_t count)
{
    cell *c;

    FRAME(s, frame, &outer);
    c = NEW_TRAILING(s, cell, count);
    FRAME_POP(s, frame);
    c->outer = outer;
    c->texts = 0;
    c->count = count;
    memset(c->fields, 0, count * sizeof c->fields[0]);
    return c;
}

/* Fills the fields of `c`: a third strings, a quarter cells, the rest empty. */
static void fill(subject *s, cell *c, int depth, uint64_t *chance)
{
    FRAME(s, frame, &c);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t kind = random_below(chance, 12);

        if (kind < 4) {
            text *t = new_text(s, chance);

            c->texts |= (uint64_t)1 << i;
            STORE(s, c, c->fields[i], t);
        } else if (kind < 7 && depth > 0) {
            cell *inner = new_cell(s, c, power_law(chance, MAX_FIELDS));

            STORE(s, c, c->fields[i], inner);
            fill(s, inner, depth - 1, chance);
        }
    }
    FRAME_POP(s, frame);
}

static cell *new_unit(subject *s, uint64_t *chance)
{
    cell *c = new_cell(s, NULL, 2 + power_law(chance, MAX_FIELDS - 2));

    FRAME(s, frame, &c);
    fill(s, c, MAX_DEPTH, chance);
    FRAME_POP(s, frame);
    return c;
}

static void drop_unit(subject *s, cell *c)
{
    if (!SUBJECT_DROPS || c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (c->texts >> i & 1)
            DROP(s, c->fields[i]);
        else
            drop_unit(s, c->fields[i]);
    }
    DROP(s, c);
}

static uint64_t digest_of_unit(const cell *c)
{
    uint64_t check = c->count;

    for (size_t i = 0; i < c->count; i++) {
        if (c->fields[i] == NULL)
            continue;
        if (c->texts >> i & 1)
            check = digest(check, (uint64_t)((const text *)c->fields[i])->bytes[0]);
        else
            check = digest(check, digest_of_unit(c->fields[i]));
    }
    return check;
}

static void keep(subject *s, cell **where, size_t at, cell *c)
{
    drop_unit(s, where[at]);
    STORE(s, where, where[at], c);
}

static uint64_t digest_of(cell **where, size_t count)
{
    uint64_t check = 0;

    for (size_t i = 0; i < count; i++)
        if (where[i] != NULL)
            check = digest(check, digest_of_unit(where[i]));
    return check;
}

static uint64_t share(subject *s, bench *b)
{
    struct kept *k = &kept[b->lane];
    size_t units = bench_shared(b, 2e6, 4000);
    size_t recent = bench_shared(b, RECENT, 100), lasting = bench_shared(b, LASTING, 100);
    uint64_t chance = 11 + b->lane;

    subject_root(s, &k->recent);
    subject_root(s, &k->lasting);
    k->recent = new_references(s, recent);
    k->lasting = new_references(s, lasting);
    b->live_bytes = (recent + lasting) * UNIT_BYTES;
    bench_tick(b);
    for (size_t i = 0; i < units; i++) {
        cell *c = new_unit(s, &chance);

        if (i % 40 == 0)
            keep(s, k->lasting, random_below(&chance, lasting), c);
        else if (i % 8 == 0)
            keep(s, k->recent, i / 8 % recent, c);
        else
            drop_unit(s, c);
        bench_tick(b);
    }
    bench_stop(b);
    return digest(digest_of(k->recent, recent), digest_of(k->lasting, lasting));
}

static uint64_t work(subject *s, bench *b)
{
    return bench_threads(s, b, share);
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
