/*
 * Augment-trim (paper, "Loop"): the neighbours of the base. `paper` takes all of the paper's moves;
 * `fast` takes a share of every kind of move of the larger space.
 */
#include <stdlib.h>

#include "base/random.h"
#include "base/size.h"
#include "search/propose.h"

/* Of what a later round looks at, round 0 looks at so many random networks. */
enum { random_starts_part = 4 };

mn_status mn__propose_paper(mn__session *session, mn__families *families, mn_error *err)
{
    const mn__goal *goal = mn__session_goal(session);
    mn_space space = mn__propose_space(session);
    families->enough = UINT32_MAX;
    mn_status status = mn__families_make(families, 1, err);
    if (status != MN_OK)
        return status;
    families->items[0].parent = goal->base;
    if (!goal->base.exists)
        return mn_moves_round0(&goal->frame, &families->items[0].children, err);
    return mn_moves_neighbours(
        &space, &goal->base.genotype, MN_MOVES_PAPER, &families->items[0].children, err);
}

/* Round 0: the paper's one-cell networks, and random ones of the larger space. */
static mn_status
propose_starts(mn__session *session, uint32_t round, mn__families *families, mn_error *err)
{
    const mn_genotype *frame = &mn__session_goal(session)->frame;
    mn_space space = mn__propose_space(session);
    mn_random random = mn__propose_stream(session, round);
    uint32_t starts = (session->opts->neighbours + random_starts_part - 1) / random_starts_part;
    mn_status status = mn__families_make(families, 2, err);
    if (status == MN_OK)
        status = mn_moves_round0(frame, &families->items[0].children, err);
    if (status == MN_OK)
        status = mn__candidates_make(starts, &families->items[1].children, err);
    for (uint32_t i = 0; i < starts && status == MN_OK; i++) {
        mn_candidate *child = &families->items[1].children->items[i];
        child->kind = MN_MOVE_RANDOM;
        status = mn_moves_random(&space, frame, mn_random_next(&random), &child->genotype, err);
    }
    return status;
}

/* Marks up to `most` of the candidates: each kind gives one of its own, at random, in turn. */
static mn_status mark_share(const mn_candidates *all,
                            uint32_t most,
                            mn_random *random,
                            bool *ret_marks, /* (all->count), false */
                            mn_error *err)
{
    uint32_t count = (uint32_t)all->count;
    uint32_t taken = 0;
    uint32_t next[MN_MOVE_COUNT] = {0}; /* where each kind's search for its next one goes on */
    uint32_t *order = mn_calloc(count, sizeof *order);
    if (order == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    mn_random_shuffle(random, order, count);
    for (bool more = true; more && taken < most;) {
        more = false;
        for (uint32_t kind = 0; kind < MN_MOVE_COUNT && taken < most; kind++) {
            while (next[kind] < count && (uint32_t)all->items[order[next[kind]]].kind != kind)
                next[kind]++;
            if (next[kind] == count)
                continue;
            ret_marks[order[next[kind]++]] = true;
            taken++;
            more = true;
        }
    }
    free(order);
    return MN_OK;
}

/* Keeps what is marked, in its order. */
static void keep_marked(mn_candidates *all, const bool *marks)
{
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (marks[i])
            all->items[kept++] = all->items[i];
        else
            mn_layer_map_done(&all->items[i].map);
    }
    all->count = kept;
}

mn_status mn__propose_augment_trim(mn__session *session,
                                   uint32_t round,
                                   mn__families *families,
                                   mn_error *err)
{
    const mn__goal *goal = mn__session_goal(session);
    mn_space space = mn__propose_space(session);
    mn_random random = mn__propose_stream(session, round);
    bool *marks = NULL;
    families->enough = UINT32_MAX;
    if (!goal->base.exists)
        return propose_starts(session, round, families, err);
    mn_status status = mn__families_make(families, 1, err);
    if (status != MN_OK)
        return status;
    families->items[0].parent = goal->base;
    status = mn_moves_neighbours(
        &space, &goal->base.genotype, MN_MOVES_ALL, &families->items[0].children, err);
    mn_candidates *all = families->items[0].children;
    if (status != MN_OK || all->count <= session->opts->neighbours)
        return status;
    marks = mn_calloc(all->count, sizeof *marks);
    if (marks == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    status = mark_share(all, session->opts->neighbours, &random, marks, err);
    if (status == MN_OK)
        keep_marked(all, marks);
    free(marks);
    return status;
}
