/* SPDX-License-Identifier: MIT
 *
 * A shop's orders, with two mistakes to choose from; guides/missing-root.md
 * finds them.
 *
 *     missing_root [none]     makes none
 *     missing_root root       keeps the largest order in a malloc block that the
 *                             collector does not know of
 *     missing_root barrier    links orders to their customer by plain stores
 *
 * As an interpreter would, it uses exact roots only. Exit status: 0; 1 if there
 * is no heap, no room in it, or nowhere to print; 2 for another argument.
 */
#include <strata/gc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUSTOMERS = 100, ORDERS = 20000 };

struct order {
    struct order *next; /* of the same customer */
    long amount;
};

struct customer {
    struct order *orders;
    long count;
};

/* Lives in malloc memory. */
struct shop {
    struct customer *customers[CUSTOMERS];
    struct order *largest;
    int plain_stores;
};

static const uint32_t order_refs[] = {offsetof(struct order, next)};
static const uint32_t customer_refs[] = {offsetof(struct customer, orders)};
static const gc_type order_type = GC_TYPE_STRUCT("order", struct order, order_refs);
static const gc_type customer_type = GC_TYPE_STRUCT("customer", struct customer, customer_refs);

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "missing_root: %s\n", why);
    exit(1);
}

static void take_order(gc_mutator *mutator, struct shop *shop, int i)
{
    struct order *order = gc_alloc(mutator, &order_type);
    struct customer *customer = shop->customers[i % CUSTOMERS];

    if (order == NULL)
        give_up("the heap is full");
    order->amount = i * 7919L % 10007;
    order->next = customer->orders; /* it is new: a plain store will do */
    if (shop->plain_stores)
        customer->orders = order; /* the second mistake */
    else
        gc_write(mutator, customer, &customer->orders, order);
    customer->count++;
    if (shop->largest == NULL || order->amount > shop->largest->amount)
        shop->largest = order;
}

static long count_orders(const struct shop *shop)
{
    long count = 0;

    for (int i = 0; i < CUSTOMERS; i++)
        for (const struct order *o = shop->customers[i]->orders; o != NULL; o = o->next)
            count++;
    return count;
}

static void run(gc_mutator *mutator, struct shop *shop)
{
    for (int i = 0; i < CUSTOMERS; i++)
        if ((shop->customers[i] = gc_alloc(mutator, &customer_type)) == NULL)
            give_up("the heap is full");
    for (int i = 0; i < ORDERS; i++)
        take_order(mutator, shop, i);
    if (printf("%ld orders, the largest of %ld\n", count_orders(shop), shop->largest->amount) < 0 ||
        fflush(stdout) != 0)
        give_up("standard output cannot be written");
}

/* A heap of 64 MiB, and the calling thread attached to it. */
static gc_heap *make_heap(gc_mutator **mutator)
{
    gc_options options;
    gc_status status;
    gc_heap *heap;

    gc_options_init(&options);
    options.stacks = GC_STACKS_EXACT;
    options.hard_limit = (size_t)64 << 20;
    options.nursery_max = (size_t)64 << 10;
    status = gc_heap_create(&options, &heap);
    if (status == GC_OK)
        status = gc_mutator_attach(heap, mutator);
    if (status != GC_OK)
        give_up(gc_status_name(status));
    return heap;
}

int main(int argc, char **argv)
{
    const char *mistake = argc > 1 ? argv[1] : "none";
    struct shop *shop;
    gc_mutator *mutator;
    gc_heap *heap;

    if (argc > 2 || (strcmp(mistake, "none") != 0 && strcmp(mistake, "root") != 0 &&
                     strcmp(mistake, "barrier") != 0)) {
        fputs("usage: missing_root [none|root|barrier]\n", stderr);
        return 2;
    }
    shop = calloc(1, sizeof *shop);
    if (shop == NULL)
        give_up("no memory");
    heap = make_heap(&mutator);
    shop->plain_stores = strcmp(mistake, "barrier") == 0;
    if (gc_root_range_add(heap, shop->customers, CUSTOMERS, GC_EXACT) != GC_OK)
        give_up("no memory");
    /* The first mistake is to leave this out. */
    if (strcmp(mistake, "root") != 0 && gc_root_add(heap, &shop->largest) != GC_OK)
        give_up("no memory");
    run(mutator, shop);
    gc_mutator_detach(mutator);
    gc_heap_destroy(heap);
    free(shop);
    return 0;
}
