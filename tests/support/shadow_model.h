/* SPDX-License-Identifier: MIT
 *
 * The model behind shadow.h, and what its files share.
 *
 * Objects of the heap are known to the model by number. Of each the model says
 * whether the roots reach it (strong), where the last walk found it, or that it
 * may be alive in the heap though no walk finds it (kept): as one that waits
 * for its finalizer, with all it refers to.
 */
#ifndef STRATA_TEST_SHADOW_MODEL_H
#define STRATA_TEST_SHADOW_MODEL_H

#include <strata/fork.h>
#include <strata/table.h>
#include <strata/weak.h>

#include "support/shadow.h"

/* ---- What is allocated -------------------------------------------------- */

enum kind {
    LEAF,
    STRUCT,
    PINNED,
    TRACED, /* one plain slot, one whose references are kept inverted */
    VAGUE,  /* traced too, by words that may be references */
    MADE,   /* of a type made at run time */
    BYTES,
    ALIGNED,
    LARGE_BYTES,
    REFERENCES,
    WORDS,
    LARGE_REFERENCES,
    ARRAY,
    TRAILING,
    PLAIN_KINDS,
    WEAK = PLAIN_KINDS,
    EPHEMERON,
    TABLE,
    KINDS
};

struct plan {
    const gc_type *type;
    uint32_t weight; /* how often, in 200 */
    uint32_t least;  /* elements; both 0: no array part */
    uint32_t most;
    uint32_t most_brief; /* with SHADOW_BRIEF */
};

extern const struct plan plans[PLAIN_KINDS];
extern const gc_type made_layout;

/* ---- The model ---------------------------------------------------------- */

/* An object as the model has it. References are numbers of shadows; 0 is
 * none, and then the slot holds `words`. A weak reference's only one is its
 * referent; an ephemeron has key and value; a table keys and values in turn. */
struct shadow {
    enum kind kind;
    uint8_t variety; /* flags of a weak reference; kind of a table; index of a made type */
    bool is_hashed;
    bool is_frozen;   /* and found: it stays where it is */
    bool seen_before; /* the walk before the last found it too */
    uint32_t slots;   /* that steps store into */
    uint32_t links;   /* references in all */
    size_t length;
    uint64_t serial; /* the how manieth that was made */
    uint64_t seed;
    uint64_t hash;
    uint32_t *refs;   /* NULL: no such shadow */
    uintptr_t *words; /* beside a reference: its tag */
    void *found;      /* where the last walk found it */
    void *pinned_at;
    uint32_t walk;   /* that walk's number */
    uint32_t from;   /* what referred to it then; 0: a root */
    uint32_t strong; /* the last marking that reached it */
    uint32_t kept;   /* the last walk that kept it */
    uint32_t pins;
    size_t charge;
};

/* Beside GC_WEAK_TRACKING, in the variety of a weak reference: it has a callback. */
enum { WATCHING = 2 };

/* Beside a table's kind, in its variety: that it has callbacks, with many
 * collisions. */
enum { TABLE_COLLIDES = 16 };

static inline unsigned table_kind(const struct shadow *shadow)
{
    return shadow->variety & 3u;
}

/* The root slots, by how the heap knows them. */
enum {
    ROOT_SLOTS = 0,      /* one by one */
    ROOT_RANGE = 16,     /* an exact range */
    ROOT_HANDLES = 32,   /* handles */
    ROOT_FRAME = 40,     /* frames of two */
    ROOT_AMBIGUOUS = 48, /* an ambiguous range */
    ROOT_CALLBACK = 52,  /* a callback; the last two are kept inverted */
    ROOTS = 56,
    FRAMES = 4,
    MADE_TYPES = 3,
    CALLS = 128,
    MOST_PAIRS = 64, /* entries of a table */
    HELD = 4
};

/* Something that shall be called, or handed out, when `id` is dead. */
enum call_kind { NO_CALL, FINALIZER, GUARDED, WATCH, CALLBACK };

struct registration {
    enum call_kind kind;
    uint32_t id;     /* a callback's: the weak reference. A watch's: 0 when dead and forgotten */
    uint64_t serial; /* given once, and with it the heap calls back */
    uint64_t name;
    size_t external;
    uint8_t act;  /* what it does, ACT_... */
    bool may_run; /* what it waits for was seen dead */
};

struct made {
    gc_type *type; /* NULL: none */
    uint32_t class_id;
    bool is_retired;
};

struct shadow_run {
    const struct shadow_config *config;
    struct shadow_choices *choices;
    gc_heap *heap;
    gc_mutator *mutator;
    uint64_t collections; /* when last compared */
    uint64_t serial;
    uint64_t call_serial;
    struct shadow *shadows;
    uint32_t count;    /* of shadows; number 0 is none */
    uint32_t walk;     /* the last walk's number */
    uint32_t marking;  /* the last marking's */
    uint32_t *queue;   /* of a walk */
    uint32_t queued;   /* in it */
    uint32_t looking;  /* at what the walk is */
    uint32_t *marks;   /* queue of a marking */
    uint32_t *waiting; /* in a marking: what refers weakly */
    uint32_t kept;     /* how many the last walk kept without finding them */
    uint32_t limbo;    /* how many it found that no root reaches */
    uint32_t dropped;  /* entries that it took for alive, and found cleared with right */
    uint32_t suspect;  /* one that was cleared, with right only if others were dropped */
    const char *suspicion;
    uint32_t roots[ROOTS];
    void *cells[ROOTS];
    gc_handle *handles[ROOTS];
    bool registered[ROOTS];
    void *frame_slots[FRAMES][2];
    gc_frame frames[FRAMES];
    uint32_t depth;           /* frames pushed */
    uint32_t next_free;       /* no free number below it */
    uint32_t held[HELD];      /* in the hands of the step under way */
    uint32_t pinned_once;     /* the object pinned for one collection, or 0 */
    uint64_t pinned_once_for; /* when that many collections have run */
    struct made made[MADE_TYPES];
    struct registration calls[CALLS];
    gc_guardian *guardian;
    uint32_t disabled;
    uint32_t inside; /* callbacks under way */
    size_t program_charge;
    bool has_hidden; /* something was frozen of which the model knows no address */
};

extern struct shadow_run run;

/* A walk found heap and model different. */
_Noreturn void wrong(uint32_t id, const char *what);

/* The same, unless the walk finds that the model took too much for alive. */
void suspect(uint32_t id, const char *what);

/* ---- Choices ------------------------------------------------------------ */

static inline uint64_t below(uint64_t bound)
{
    return shadow_choose(run.choices, bound);
}

static inline bool has_trait(unsigned trait)
{
    return (run.config->traits & trait) != 0;
}

static inline bool is_exact(void)
{
    return run.config->stacks == GC_STACKS_EXACT;
}

/* Whether a call may fail for want of memory. */
static inline bool may_fail(void)
{
    return has_trait(SHADOW_MAY_FAIL | SHADOW_FAULTS);
}

uint64_t mix(uint64_t number);

/* OK; or, where that may be, GC_NO_MEMORY. Returns whether it is OK. */
bool is_done(gc_status status);

/* ---- Objects: shadow_objects.c ------------------------------------------ */

uint32_t new_shadow(enum kind kind, size_t length, uint32_t links);
void free_shadow(uint32_t id);
uint32_t slots_of(enum kind kind, size_t length);
void **slot_at(const struct shadow *shadow, void *object, uint32_t i);
bool is_inverted(const struct shadow *shadow, uint32_t i);
bool takes_tags(const struct shadow *shadow, uint32_t i);
const gc_type *type_of(const struct shadow *shadow); /* NULL: one of the library's own */

/* Writes what the seed says to the parts that are not references; or, if
 * `check`, returns whether it is there. */
bool contents_are(const struct shadow *shadow, void *object, bool check);

/* Stores what the shadow now has in slot `i`: `value` and a tag, or a word. */
void store(const struct shadow *shadow, void *object, uint32_t i, void *value);

/* The reference in slot `i`, without its tag. */
void *load(const struct shadow *shadow, void *object, uint32_t i);

/* The object's hash, noted in its shadow; false without memory. */
bool hash_of(uint32_t id, const void *object);

/* ---- Roots: shadow_roots.c ---------------------------------------------- */

void *root_get(uint32_t root);
bool is_usable(uint32_t root); /* one that is not registered takes nothing */
void root_set(uint32_t root, uint32_t id, void *object);
void toggle_root(uint32_t root);
void register_roots(void);
void unregister_roots(void);
void push_frame(void);
void pop_frame(void);
uint32_t full_root(void); /* a random one that holds an object, or ROOTS */

/* ---- Walks: shadow_mark.c, shadow_walk.c --------------------------------- */

/* Marks what the roots reach in the model, as a full collection would; or, if
 * `is_strict`, without what it would drop the next time. */
void mark_strong(bool is_strict);
bool is_strong(uint32_t id); /* as of the last marking */

/* Keeps what waits for its finalizer, and what the step under way holds. */
void mark_kept(void);

/* Checks that the object is the shadow's. */
void check_object(uint32_t id, void *object);

/* `id` was found at `object`: checks it, and queues it the first time. */
void reach(uint32_t id, void *object);

/* Compares heap and model. `is_full`: nothing was done since a full collection. */
void compare(bool is_full);

/* Compares if anything was collected since the last time. */
void compare_if_collected(void);

/* ---- What refers weakly: shadow_weak.c, shadow_tables.c ------------------ */

void look_at_weakref(uint32_t id);
void look_at_ephemeron(uint32_t id);
void look_at_table(uint32_t id);

void do_weakref(void);
void do_weakref_use(void);
void do_ephemeron(void);
void do_ephemeron_use(void);
void do_table(void);
void do_table_use(void);

/* ---- What is called: shadow_calls.c -------------------------------------- */

void note_dead_calls(void); /* after a marking: what may run now */
struct registration *take_call(enum call_kind kind, uint32_t id); /* NULL: none is free */
void drop_call(struct registration *call);                        /* NULL does nothing */
struct registration *find_call(enum call_kind kind, uint32_t id);
void shadow_weak_callback(gc_mutator *mutator, gc_weakref *weakref, void *data);
void do_register(void);
void do_cancel(void);
void do_run_calls(void);
void do_guardian(void);
void run_all_calls(void); /* collects and runs until nothing comes */

/* ---- Steps: shadow_steps.c ----------------------------------------------- */

/* Makes an object in `root`; 0 without memory. */
uint32_t allocate(enum kind kind, size_t length, uint32_t root);
void do_collect(void);
void do_made_type(void);
void retire(struct made *made);
void do_setting(void);
void unfreeze(void);

#endif
