/*
 * The start of a search: the segment's tables, a lower bound, and ways through that the search has
 * to beat: straight in the graph's order, and greedy ones, where each time the move is made that
 * needs least, of equal ones the one that leaves least alive.
 */
#include "plan/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* Takes what is on the board, which is finished, for the best way. */
void mn__search_record(mn__search *s, const mn__board *board, size_t peak)
{
    mn__segment g = s->reach.segment;
    s->peak_bytes = peak;
    s->move_count = board->move_count;
    memcpy(s->moves, board->moves, board->move_count * sizeof *s->moves);
    memcpy(s->lies_in, board->lies_in + g.first, s->reach.count * sizeof *s->lies_in);
}

void mn__search_reset(mn__search *s, mn__board *board, uint8_t *zeros)
{
    memset(zeros, 0, s->form.state_bytes);
    mn__board_enter(board, &s->reach);
    mn__board_load(board, &s->form, zeros);
}

typedef struct choice {
    uint32_t node, macro;
    size_t key, live_bytes;
} choice;

/* The way to go on that needs least, then the one that leaves least alive. */
static choice choose(mn__search *s, mn__board *b, size_t peak)
{
    choice best = {.node = MN_NONE};
    mn__mark mark = mn__board_mark(b);
    for (uint32_t n = s->reach.segment.first; n < s->reach.segment.end; n++) {
        mn__turn turn = MN__TURN_DONE;
        for (uint32_t macro = 0; turn != MN__TURN_NONE && !b->is_broken; macro++) {
            choice c = {.node = n, .macro = macro};
            turn = mn__macro_run(b, n, macro, NULL, &c.key, &s->is_cut);
            c.key = mn_size_larger(c.key, peak);
            c.live_bytes = b->live_bytes;
            mn__board_take_back(b, mark);
            if (turn == MN__TURN_DONE && (best.node == MN_NONE || c.key < best.key ||
                                          (c.key == best.key && c.live_bytes < best.live_bytes)))
                best = c;
        }
    }
    return best;
}

/* One way through, greedily. */
static void dive(mn__search *s, mn__board *b)
{
    size_t peak = b->live_bytes + b->idle_bytes; /* at the first step, or if there is none */
    while (!mn__board_is_finished(b) && !b->is_broken) {
        size_t during = 0;
        peak = mn_size_larger(peak, mn__settle(b, peak));
        if (mn__board_is_finished(b))
            break;
        choice c = choose(s, b, peak);
        if (c.node == MN_NONE)
            return;
        (void)mn__macro_run(b, c.node, c.macro, NULL, &during, &s->is_cut);
        peak = mn_size_larger(peak, during);
    }
    if (peak < s->peak_bytes)
        mn__search_record(s, b, peak);
}

/* In the graph's order, with the first place that is listed for each value. */
static void go_straight(mn__search *s, mn__board *b)
{
    size_t peak = b->live_bytes + b->idle_bytes; /* at the first step, or if there is none */
    uint32_t n = s->reach.segment.first;
    while (n < s->reach.segment.end && !b->is_broken) {
        mn__placing placings[MN__MOST_PLACINGS];
        if (b->done[n] || !mn__board_is_ready(b, n)) {
            n++;
            continue;
        }
        (void)mn__board_placings(b, n, placings, &s->is_cut);
        peak = mn_size_larger(peak, mn__board_run(b, n, placings));
        n = s->reach.segment.first; /* perhaps one had to wait for this */
    }
    if (mn__board_is_finished(b) && peak < s->peak_bytes)
        mn__search_record(s, b, peak);
}

/* Goes all ways that the effort asks for, and does not end without one. */
static void go(mn__search *s, mn__board *board, mn__effort effort, uint8_t *zeros)
{
    static const mn__policy policies[] = {MN__PLACE_FREELY, MN__PLACE_EARLY};
    s->peak_bytes = SIZE_MAX;
    board->policy = MN__PLACE_EARLY;
    mn__search_reset(s, board, zeros);
    go_straight(s, board);
    for (size_t i = 0; i < 2 && effort == MN__SEARCH && s->peak_bytes > s->lower_bound_bytes; i++) {
        board->policy = policies[i];
        mn__search_reset(s, board, zeros);
        dive(s, board);
    }
    if (s->peak_bytes == SIZE_MAX) { /* places that were chosen first stood in the way */
        board->policy = MN__PLACE_APART;
        mn__search_reset(s, board, zeros);
        go_straight(s, board);
    }
    board->policy = MN__PLACE_FREELY;
}

/* The bound for segments that are too large for looking ahead: what each kernel reads is there, and
 * its result, where neither may be part of something else. */
static size_t bound_by_one(const mn__search *s)
{
    const mn__values *v = s->reach.values;
    size_t most = 0;
    for (uint32_t n = s->reach.segment.first; n < s->reach.segment.end; n++) {
        size_t bytes = 0;
        bool in_place = v->needs->in_place_bytes[n] != MN__NOT_IN_PLACE;
        if (!mn__values_is_made(v, n) || mn__values_prim(v, n) == MN_PRIM_CONCAT)
            continue;
        if (!in_place && mn__list_count(&v->hosts, n) == 0)
            bytes += v->bytes[n];
        for (uint32_t i = 0; i < mn__list_count(&v->inputs, n); i++) {
            uint32_t x = mn__list_of(&v->inputs, n)[i];
            if (mn__list_count(&v->hosts, x) == 0)
                bytes += v->bytes[x];
        }
        most = mn_size_larger(most, bytes);
    }
    return most;
}

mn_status mn__search_start(
    mn__search *s, mn__board *board, mn__segment segment, mn__effort effort, mn_error *err)
{
    mn_status status = mn__reach_find(board->values, segment, &s->reach, err);
    if (status == MN_OK)
        status = mn__ahead_find(&s->reach, &s->ahead, err);
    if (status == MN_OK)
        status = mn__state_form_find(&s->reach, &s->form, err);
    if (status != MN_OK)
        return status;
    uint8_t *zeros = mn_calloc(s->form.state_bytes, 1);
    s->moves = mn_calloc(s->reach.count, sizeof *s->moves);
    s->lies_in = mn_calloc(s->reach.count, sizeof *s->lies_in);
    if (s->moves == NULL || s->lies_in == NULL || zeros == NULL) {
        free(zeros);
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    }
    s->is_cut = s->reach.words == 0;
    mn__search_reset(s, board, zeros);
    s->lower_bound_bytes =
        mn_size_larger(board->live_bytes + board->idle_bytes,
                       s->is_cut ? bound_by_one(s) : mn__ahead_bytes(&s->ahead, board));
    if (effort != MN__JUST_BOUND)
        go(s, board, effort, zeros);
    free(zeros);
    if (board->is_broken)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (effort != MN__JUST_BOUND && s->peak_bytes == SIZE_MAX)
        return mn_error_set(err, MN_ERR_INTERNAL, "plan: no order was found");
    return MN_OK;
}

void mn__search_done(mn__search *s)
{
    mn__reach_done(&s->reach);
    mn__ahead_done(&s->ahead);
    mn__state_form_done(&s->form);
    free(s->moves);
    free(s->lies_in);
    *s = (mn__search){0};
}
