/*
 * The search's board: which nodes of a segment have run, which value lies inside which, and how
 * many bytes are alive. Moves are made and taken back; the rules of aliasing are its rules:
 *
 *  - A buffer is alive from the first step that writes into it to the last that reads from it.
 *  - A kernel that can writes over an input that dies with the step, when both have buffers of
 *    their own. It may need scratch for it (mn__needs.in_place_bytes).
 *  - A value may lie inside a host (values.h). A host's buffer is alive as soon as a value lies in
 *    it. A value is written over in its host only by the host, once all others that read it, or
 *    what lies in it, have run.
 *  - A concat whose inputs all lie in it needs no step. Any other copies those that do not.
 *
 * Where values lie is decided when they are written, so that every plan within these rules can be
 * reached by moves, and what is alive follows from the moves alone.
 */
#ifndef MN_PLAN_BOARD_H
#define MN_PLAN_BOARD_H

#include "plan/segment.h"

enum { MN__MOST_HOSTS_DEEP = 8, MN__MOST_PLACINGS = 48 };

/* One way to place a value that is about to be written: nodes[0] is the value; each but the last
 * lies inside the next, and the last has a buffer of its own or lies somewhere already. */
typedef struct mn__placing {
    uint32_t depth;
    uint32_t nodes[MN__MOST_HOSTS_DEEP];
    uint32_t
        hosts[MN__MOST_HOSTS_DEEP]; /* nodes[i] lies in its host number hosts[i] - 1; 0 = none */
} mn__placing;

/* Which placings are looked at. All but the first leave out ways, mostly bad ones. */
typedef enum mn__policy {
    MN__PLACE_FREELY,
    MN__PLACE_EARLY, /* what can lie in a host does */
    MN__PLACE_LATE,  /* no host gets a place before what comes into the segment is dead */
    MN__PLACE_APART  /* nothing lies in hosts: there is always a way through */
} mn__policy;

typedef struct mn__move {
    uint32_t node;
    uint32_t over; /* the value that its kernel writes over by the second rule, or MN_NONE */
} mn__move;

/* Old content of a cell, for taking moves back. */
typedef struct mn__undo {
    uint32_t *cell;
    uint32_t old;
} mn__undo;

typedef struct mn__board {
    const mn__values *values;
    const mn__reach *reach; /* of the segment that is being searched */
    uint32_t *cells;        /* the arrays below, (nodes) each */
    uint32_t *done;      /* of a node: it has run, or needs no step and all its inputs are there */
    uint32_t *lies_in;   /* of a value: number of its host plus one, 0 = in none (yet) */
    uint32_t *is_placed; /* of a value: it is decided where it lies */
    uint32_t *root;      /* of a placed value: the value that has the buffer it lies in */
    uint32_t *left;      /* of a root: writes and reads of its buffer that are still to come */
    uint32_t *unread;    /* of a value: readers that have not run */
    uint32_t *missing;   /* of a node: inputs that are not there yet */
    uint32_t *filled;    /* of a host: values that lie directly in it */
    size_t live_bytes;
    size_t idle_bytes; /* graph inputs that nobody reads: there during the first step only */
    mn__move *moves;   /* (nodes) since the board was set up */
    uint32_t move_count;
    mn__undo *undo;
    size_t undo_count, undo_capacity;
    uint32_t *stack; /* (nodes) scratch */
    mn__policy policy;
    bool is_broken; /* out of memory while making a move */
} mn__board;

/* What mn__board_take_back() returns to. */
typedef struct mn__mark {
    size_t undo_count;
    size_t live_bytes;
    uint32_t move_count;
} mn__mark;

/* To be emptied with mn__board_done() whatever the outcome. */
mn_status mn__board_init(mn__board *board, const mn__values *values, mn_error *err);
void mn__board_done(mn__board *board);

/* Goes to a segment: all before it has run, nothing after it. `reach` is borrowed. A board has to
 * be loaded next (board_state.h). */
void mn__board_enter(mn__board *board, const mn__reach *reach);

/* Whether a node that has not run and lacks no input may run: what it writes over in a host, nobody
 * else will read. */
bool mn__board_may_run(const mn__board *board, uint32_t node);

static inline bool mn__board_is_ready(const mn__board *b, uint32_t node)
{
    return !b->done[node] && b->missing[node] == 0 &&
           (b->filled[node] == 0 || mn__board_may_run(b, node));
}

/*
 * The ways to place what node `n`, which is ready, writes. Those that can never be better than
 * another one are left out. `ret` has room for MN__MOST_PLACINGS. Returns how many there are; sets
 * *ret_cut when some had to be left out for want of room.
 */
uint32_t mn__board_placings(const mn__board *board, uint32_t n, mn__placing *ret, bool *ret_cut);

/* Whether running n, which is ready, can free nothing, and its value can lie in nothing that is
 * alive already. */
bool mn__board_only_takes(const mn__board *board, uint32_t n);

/* Whether x, which has no place yet, can come to lie in a buffer that is alive already and lose
 * nothing by it. */
bool mn__board_is_covered(const mn__board *board, uint32_t x);

/* Runs node n, which is ready. Returns the bytes that are alive during its step. */
size_t mn__board_run(mn__board *board, uint32_t n, const mn__placing *placing);

mn__mark mn__board_mark(const mn__board *board);
void mn__board_take_back(mn__board *board, mn__mark mark);

bool mn__board_is_finished(const mn__board *board);

/* The host that value x lies in, or MN_NONE. */
uint32_t mn__board_host(const mn__board *board, uint32_t x);

/* Whether x's buffer is alive, x being a placed value that has one of its own. */
static inline bool mn__board_is_alive(const mn__board *b, uint32_t root)
{
    return b->left[root] > 0 || b->values->is_output[root];
}

#endif
