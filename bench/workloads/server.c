/* SPDX-License-Identifier: MIT
 *
 * The life of a server, two days of simulated time in 2 million requests. A
 * request makes some twenty objects that die with it, notes itself in the
 * history of a session, and asks a cache of documents for one. Sessions come
 * and go in order; their number rises to 100,000 and falls to 20,000 twice, and
 * resident memory should follow. The latencies are those of requests.
 */
#include "bench.h"

typedef struct event {
    struct event *before;
    uint64_t number;
    char text[48];
} event;

typedef struct session {
    event *history; /* newest first */
    unsigned char *state;
    uint64_t user;
    uint64_t requests;
} session;

typedef struct document {
    uint64_t words[256];
} document;

TYPE_STRUCT(event, offsetof(event, before));
TYPE_STRUCT(session, offsetof(session, history), offsetof(session, state));
TYPE_LEAF(document);

enum {
    MOST_SESSIONS = 100000,
    FEWEST_SESSIONS = 20000,
    DOCUMENTS = 10000,
    STATE_BYTES = 512,
    HISTORY = 8,
    EVENTS_KEPT = 2, /* mean length of a history */
    EVENTS_PER_REQUEST = 18,
    DAYS = 2
};

static session **sessions; /* a ring: first to first + count */
static document **cache;
static size_t first, count, capacity, documents;

static event *new_event(subject *s, event *before, uint64_t number)
{
    event *e;

    FRAME(s, frame, &before);
    e = NEW(s, event);
    FRAME_POP(s, frame);
    e->before = before;
    e->number = number;
    memset(e->text, (int)(number & 0x7f), sizeof e->text);
    return e;
}

static void drop_events(subject *s, event *e)
{
    while (SUBJECT_DROPS && e != NULL) {
        event *before = e->before;

        DROP(s, e);
        e = before;
    }
}

static void open_session(subject *s, uint64_t user)
{
    unsigned char *state = new_bytes(s, STATE_BYTES);
    session *opened;

    FRAME(s, frame, &state);
    memset(state, (int)(user & 0xff), STATE_BYTES);
    opened = NEW(s, session);
    FRAME_POP(s, frame);
    opened->history = NULL;
    opened->state = state;
    opened->user = user;
    opened->requests = 0;
    STORE(s, sessions, sessions[(first + count) % capacity], opened);
    count++;
}

static void close_oldest_session(subject *s)
{
    session *gone = sessions[first];

    sessions[first] = NULL;
    first = (first + 1) % capacity;
    count--;
    drop_events(s, gone->history);
    DROP(s, gone->state);
    DROP(s, gone);
}

/* Keeps the last few events: when there are too many, the list starts anew. */
static void note(subject *s, session *visited, uint64_t number)
{
    event *e;

    if (visited->requests++ % HISTORY == 0) {
        drop_events(s, visited->history);
        visited->history = NULL;
    }
    FRAME(s, frame, &visited);
    e = new_event(s, visited->history, number);
    FRAME_POP(s, frame);
    STORE(s, visited, visited->history, e);
}

static uint64_t make_reply(subject *s, uint64_t number)
{
    event *reply = NULL;
    uint64_t sum = 0;

    FRAME(s, frame, &reply);
    for (uint64_t i = 0; i < EVENTS_PER_REQUEST; i++)
        reply = new_event(s, reply, number + i);
    FRAME_POP(s, frame);
    for (const event *e = reply; e != NULL; e = e->before)
        sum += (uint64_t)e->text[7];
    drop_events(s, reply);
    return sum;
}

/* One document in ten has to be fetched, and takes the place of another. */
static uint64_t look_up(subject *s, uint64_t *chance)
{
    size_t at = random_below(chance, documents);

    if (cache[at] == NULL || random_below(chance, 10) == 0) {
        document *d = NEW(s, document);

        for (size_t i = 0; i < 256; i++)
            d->words[i] = at + i;
        DROP(s, cache[at]);
        STORE(s, cache, cache[at], d);
    }
    return cache[at]->words[255];
}

/* A triangle over the day, from the fewest to the most and back. */
static size_t sessions_wanted(size_t request, size_t requests)
{
    size_t fewest = capacity * FEWEST_SESSIONS / MOST_SESSIONS;
    size_t half_day = requests / (2 * DAYS);
    size_t hour = request % (2 * half_day);
    size_t height = hour < half_day ? hour : 2 * half_day - hour;

    return fewest + (capacity - fewest) * height / half_day;
}

static uint64_t serve(subject *s, size_t number, size_t requests, uint64_t *chance)
{
    size_t wanted = sessions_wanted(number, requests);
    uint64_t sum;

    while (count > wanted || (count > 1 && count == wanted && number % 4 == 0))
        close_oldest_session(s);
    while (count < wanted)
        open_session(s, number);
    sum = make_reply(s, number);
    note(s, sessions[(first + random_below(chance, count)) % capacity], number);
    return sum + look_up(s, chance);
}

static uint64_t digest_of_sessions(void)
{
    uint64_t check = 0;

    for (size_t i = 0; i < count; i++) {
        const session *open = sessions[(first + i) % capacity];

        check = digest(check, open->user + open->requests + open->state[STATE_BYTES - 1]);
        for (const event *e = open->history; e != NULL; e = e->before)
            check = digest(check, e->number);
    }
    return check;
}

static uint64_t work(subject *s, bench *b)
{
    size_t requests = bench_scaled(b, 2e6, 4000);
    uint64_t chance = 13, check = 0;

    capacity = bench_scaled(b, MOST_SESSIONS, 100);
    documents = bench_scaled(b, DOCUMENTS, 10);
    subject_root(s, &sessions);
    subject_root(s, &cache);
    sessions = new_references(s, capacity);
    cache = new_references(s, documents);
    b->live_bytes = capacity * (sizeof(session) + STATE_BYTES + EVENTS_KEPT * sizeof(event)) +
                    documents * sizeof(document);
    bench_tick(b);
    for (size_t i = 0; i < requests; i++) {
        check = digest(check, serve(s, i, requests, &chance));
        bench_tick(b);
    }
    bench_stop(b);
    return digest(check, digest_of_sessions());
}

int main(int argc, char **argv)
{
    return bench_main(argc, argv, work);
}
