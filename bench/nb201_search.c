/*
 * Played searches.
 */
#include "nb201_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "rank/quality.h"

enum { functions = nb201_count, tournament = 10 };

/* What a search has trained. */
typedef struct run {
    const nb201 *table;
    uint32_t known[nb201_count]; /* in the order of training */
    uint32_t count;
    bool trained[nb201_count];
    bool done[functions]; /* by the number of the pruned code */
    bool found;
} run;

static uint32_t number_of(const uint8_t code[nb201_edges])
{
    uint32_t number = 0;
    for (int e = 0; e < nb201_edges; e++)
        number = number * nb201_ops + code[e];
    return number;
}

static void train(run *r, uint32_t cell)
{
    r->known[r->count++] = cell;
    r->trained[cell] = true;
    r->done[number_of(r->table->live[cell])] = true;
    r->found = r->found || r->table->accuracy[cell] == r->table->best;
}

/* Trains cells at random until `most` are or the best one is. */
static void train_random(run *r, mn_random *random, uint32_t most)
{
    while (r->count < most && !r->found) {
        uint32_t cell = mn_random_below(random, nb201_count);
        if (!r->trained[cell])
            train(r, cell);
    }
}

/* One cell for each function that was not trained; returns how many. */
static uint32_t list_untrained(const run *r, uint32_t *ret_cells)
{
    uint32_t count = 0;
    bool seen[functions];
    memcpy(seen, r->done, sizeof seen);
    for (uint32_t i = 0; i < nb201_count; i++) {
        uint32_t function = number_of(r->table->live[i]);
        if (!seen[function])
            ret_cells[count++] = i;
        seen[function] = true;
    }
    return count;
}

static mn_status train_round(run *r, const nb201_ranker *ranker, ranker_call *call, mn_error *err)
{
    double *scores = mn_calloc(nb201_count, sizeof *scores);
    uint32_t *cells = mn_calloc(nb201_count, 2 * sizeof *cells);
    mn_status status = MN_OK;
    if (scores == NULL || cells == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "no room for a round");
        goto done;
    }
    uint32_t *order = cells + nb201_count;
    call->known = r->known;
    call->count = r->count;
    call->asked = cells;
    call->asked_count = list_untrained(r, cells);
    status = ranker->rank(ranker, call, scores, err);
    if (status == MN_OK)
        status = mn__order_descending(scores, call->asked_count, order, err);
    for (uint32_t i = 0; status == MN_OK && i < nb201_round && !r->found; i++)
        train(r, cells[order[i]]);
done:
    free(cells);
    free(scores);
    return status;
}

mn_status nb201_search(const nb201 *table,
                       const nb201_ranker *ranker,
                       const mn__rank_opts *opts,
                       uint64_t seed,
                       uint32_t most,
                       uint32_t *ret_trained,
                       mn_error *err)
{
    mn_status status = MN_OK;
    mn_random random = mn_random_make(seed, 0);
    ranker_call call = {.table = table, .opts = *opts};
    run *r = mn_calloc(1, sizeof *r);
    if (r == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "no room for a search");
    r->table = table;
    train_random(r, &random, nb201_first);
    while (status == MN_OK && !r->found && r->count < most) {
        call.opts.seed = mn_random_mix(seed, r->count);
        status = train_round(r, ranker, &call, err);
    }
    if (status == MN_OK)
        *ret_trained = r->found ? r->count : most;
    free(r);
    return status;
}

/* A copy of `cell` with another op on one edge. */
static uint32_t
mutate(const nb201 *table, const uint32_t *cell_of, uint32_t cell, mn_random *random)
{
    uint8_t code[nb201_edges];
    memcpy(code, table->codes[cell], sizeof code);
    uint32_t edge = mn_random_below(random, nb201_edges);
    code[edge] = (uint8_t)((code[edge] + 1 + mn_random_below(random, nb201_ops - 1)) % nb201_ops);
    return cell_of[number_of(code)];
}

uint32_t nb201_evolve(const nb201 *table, uint64_t seed, uint32_t most)
{
    uint32_t population[nb201_first]; /* a ring: the oldest is replaced */
    uint32_t oldest = 0;
    mn_random random = mn_random_make(seed, 1);
    run *r = mn_calloc(1, sizeof *r);
    uint32_t *cell_of = mn_calloc(nb201_count, sizeof *cell_of);
    uint32_t trained = most;
    if (r == NULL || cell_of == NULL)
        goto done;
    r->table = table;
    for (uint32_t i = 0; i < nb201_count; i++)
        cell_of[number_of(table->codes[i])] = i;
    train_random(r, &random, nb201_first);
    memcpy(population, r->known, sizeof population);
    for (uint32_t age = 0; !r->found && r->count < most && age < 100 * most; age++) {
        uint32_t parent = population[mn_random_below(&random, nb201_first)];
        for (int i = 1; i < tournament; i++) {
            uint32_t rival = population[mn_random_below(&random, nb201_first)];
            if (table->accuracy[rival] > table->accuracy[parent])
                parent = rival;
        }
        uint32_t child = mutate(table, cell_of, parent, &random);
        if (!r->trained[child])
            train(r, child);
        population[oldest] = child;
        oldest = (oldest + 1) % nb201_first;
    }
    trained = r->found ? r->count : most;
done:
    free(cell_of);
    free(r);
    return trained;
}
