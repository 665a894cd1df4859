/*
 * Runs the search over the segments and joins their best ways. The peak of the whole is that of
 * the worst segment, so that one is searched first, and the others only as far as they could be
 * worse than what is proven for it.
 */
#include "plan/order.h"

#include <stdlib.h>

#include "base/size.h"
#include "plan/search.h"

typedef struct orderer {
    const mn__values *values;
    mn__board board;
    mn__segment *segments;
    mn__search *searches; /* (count) */
    uint32_t count;
    mn__effort effort;
    uint32_t max_states;
} orderer;

/* Bytes that no order can do without, over all segments. */
static size_t lower_bound(const orderer *o)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < o->count; i++)
        if (o->searches[i].lower_bound_bytes > bytes)
            bytes = o->searches[i].lower_bound_bytes;
    return bytes;
}

static uint32_t worst_segment(const orderer *o)
{
    uint32_t worst = 0;
    for (uint32_t i = 1; i < o->count; i++)
        if (o->searches[i].peak_bytes > o->searches[worst].peak_bytes)
            worst = i;
    return worst;
}

static mn_status search_all(orderer *o, mn__order *order, mn_error *err)
{
    mn_status status = MN_OK;
    for (uint32_t i = 0; i < o->count && status == MN_OK; i++)
        status = mn__search_start(&o->searches[i], &o->board, o->segments[i], o->effort, err);
    if (status != MN_OK)
        return status;
    order->greedy_peak_bytes = o->searches[worst_segment(o)].peak_bytes;
    while (status == MN_OK && o->effort == MN__SEARCH) {
        mn__search *s = &o->searches[worst_segment(o)];
        size_t enough = lower_bound(o);
        uint32_t before = s->states;
        if (s->peak_bytes <= enough || s->states > 0 || s->reach.words == 0 ||
            order->states >= o->max_states)
            break;
        status = mn__search_run(s, &o->board, enough, o->max_states - order->states, err);
        order->states += s->states - before;
    }
    order->peak_bytes = o->searches[worst_segment(o)].peak_bytes;
    order->lower_bound_bytes = lower_bound(o);
    return status;
}

/* Joins the ways of all segments. */
static void join(const orderer *o, mn__order *order)
{
    const mn__values *v = o->values;
    for (uint32_t i = 0; i < o->count; i++) {
        const mn__search *s = &o->searches[i];
        for (uint32_t m = 0; m < s->move_count; m++) {
            order->steps[order->step_count++] = s->moves[m].node;
            order->over[s->moves[m].node] = s->moves[m].over;
        }
        for (uint32_t x = s->reach.segment.first; x < s->reach.segment.end; x++) {
            uint32_t number = s->lies_in[x - s->reach.segment.first];
            order->host[x] = number == 0 ? MN_NONE : mn__list_of(&v->hosts, x)[number - 1];
        }
    }
}

mn_status mn__order_find(const mn__values *values,
                         mn__effort effort,
                         uint32_t max_states,
                         mn__order *order,
                         mn_error *err)
{
    orderer o = {.values = values, .effort = effort, .max_states = max_states};
    mn_status status = MN_OK;
    order->steps = mn_calloc(values->nodes, sizeof *order->steps);
    order->host = mn_calloc(values->nodes, sizeof *order->host);
    order->over = mn_calloc(values->nodes, sizeof *order->over);
    if (order->steps == NULL || order->host == NULL || order->over == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t n = 0; status == MN_OK && n < values->nodes; n++)
        order->over[n] = MN_NONE;
    if (status == MN_OK)
        status = mn__segments_find(values, &o.segments, &o.count, err);
    if (status != MN_OK)
        goto done;
    o.searches = mn_calloc(o.count, sizeof *o.searches);
    if (o.searches == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (status == MN_OK)
        status = mn__board_init(&o.board, values, err);
    if (status == MN_OK)
        status = search_all(&o, order, err);
    if (status == MN_OK)
        join(&o, order);
done:
    for (uint32_t i = 0; o.searches != NULL && i < o.count; i++)
        mn__search_done(&o.searches[i]);
    free(o.searches);
    free(o.segments);
    mn__board_done(&o.board);
    return status;
}

void mn__order_done(mn__order *order)
{
    free(order->steps);
    free(order->host);
    free(order->over);
    *order = (mn__order){0};
}
