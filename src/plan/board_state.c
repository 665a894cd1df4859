/*
 * Saves and loads boards. Loading works out every cell of the segment anew from what has run and
 * what lies where.
 */
#include "plan/board_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

mn_status mn__state_form_find(const mn__reach *reach, mn__state_form *form, mn_error *err)
{
    form->reach = reach;
    form->set_bytes = ((size_t)reach->count + 7) / 8;
    form->choices = mn_calloc(reach->count, sizeof *form->choices);
    if (form->choices == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t x = reach->segment.first; x < reach->segment.end; x++)
        if (mn__list_count(&reach->values->hosts, x) > 0)
            form->choices[form->choice_count++] = x;
    form->state_bytes = form->set_bytes + 2 * (size_t)form->choice_count;
    return MN_OK;
}

void mn__state_form_done(mn__state_form *form)
{
    free(form->choices);
    *form = (mn__state_form){0};
}

void mn__board_save(const mn__board *board, const mn__state_form *form, uint8_t *ret_state)
{
    uint32_t first = form->reach->segment.first;
    uint32_t *is_kept = board->stack; /* of a value: something that is kept lies in it */
    memset(ret_state, 0, form->state_bytes);
    for (uint32_t n = first; n < form->reach->segment.end; n++) {
        is_kept[n] = 0;
        if (board->done[n])
            ret_state[(n - first) / 8] |= (uint8_t)(1u << ((n - first) % 8));
    }
    for (uint32_t i = 0; i < form->choice_count; i++) {
        uint32_t x = form->choices[i];
        uint32_t host = mn__board_host(board, x);
        if (host == MN_NONE ||
            (!is_kept[x] && board->done[x] && board->unread[x] == 0 && board->done[host]))
            continue;
        /* two bytes: no segment with sets has 65,536 nodes */
        ret_state[form->set_bytes + 2 * (size_t)i] = (uint8_t)board->lies_in[x];
        ret_state[form->set_bytes + 2 * (size_t)i + 1] = (uint8_t)(board->lies_in[x] >> 8);
        is_kept[host] = 1;
    }
}

static void load_cells(mn__board *b, const mn__state_form *form, const uint8_t *state)
{
    mn__segment s = form->reach->segment;
    b->move_count = 0;
    for (uint32_t n = s.first; n < s.end; n++) {
        bool made = mn__values_is_made(b->values, n);
        b->done[n] = !made || (state[(n - s.first) / 8] >> ((n - s.first) % 8) & 1);
        b->is_placed[n] = b->done[n] && b->values->value_of[n] == n;
        b->lies_in[n] = 0;
        b->filled[n] = 0;
        b->left[n] = 0;
        b->move_count += made && b->done[n];
    }
    for (uint32_t i = 0; i < form->choice_count; i++) {
        uint32_t x = form->choices[i];
        const uint8_t *choice = state + form->set_bytes + 2 * (size_t)i;
        b->lies_in[x] = choice[0] | (uint32_t)choice[1] << 8;
        uint32_t host = mn__board_host(b, x);
        if (host == MN_NONE)
            continue;
        b->is_placed[x] = 1;
        b->is_placed[host] = 1;
        b->filled[host]++;
    }
}

static void count_value(mn__board *b, uint32_t x)
{
    const mn__lists *readers = &b->values->readers;
    uint32_t unread = 0;
    for (uint32_t i = 0; i < mn__list_count(readers, x); i++)
        unread += !b->done[mn__list_of(readers, x)[i]];
    b->unread[x] = unread;
    if (!b->is_placed[x])
        return;
    uint32_t host = mn__board_host(b, x);
    b->root[x] = host == MN_NONE ? x : b->root[host];
    b->left[b->root[x]] += unread + !b->done[x];
}

void mn__board_load(mn__board *board, const mn__state_form *form, const uint8_t *state)
{
    mn__segment s = form->reach->segment;
    const mn__lists *inputs = &board->values->inputs;
    board->undo_count = 0;
    load_cells(board, form, state);
    for (uint32_t n = s.end; n-- > s.first;) { /* hosts come before what lies in them */
        uint32_t missing = 0;
        for (uint32_t i = 0; i < mn__list_count(inputs, n); i++)
            missing += !board->done[mn__list_of(inputs, n)[i]];
        board->missing[n] = missing;
        count_value(board, n);
    }
    board->live_bytes = 0;
    if (s.incoming != MN_NONE) {
        board->left[s.incoming] = 0;
        count_value(board, s.incoming);
        if (mn__board_is_alive(board, s.incoming))
            board->live_bytes += board->values->bytes[s.incoming];
    }
    for (uint32_t n = s.first; n < s.end; n++)
        if (board->is_placed[n] && board->root[n] == n && mn__board_is_alive(board, n))
            board->live_bytes += board->values->bytes[n];
}
