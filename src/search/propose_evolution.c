/*
 * Aging evolution (Real et al. 2019, arXiv 1802.01548): the population is what was trained last,
 * each child a mutation of the best of a random sample. The oldest go, however good they are.
 */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "search/propose.h"
#include "search/rungs.h"

/* Of the population of two rounds of eight a third takes part in each tournament. */
enum { population_size = 16, sample_size = 5 };

typedef struct member {
    double accuracy;
    char id[MN_STUDY_ID_BYTES];
    mn_genotype genotype;
} member;

/* A ring of the youngest: member number n (from 0) lies at n modulo its size. */
typedef struct population {
    const mn__session *session;
    uint64_t count; /* of all that were ever added */
    member *members;
} population;

static mn_status join(void *context, const mn_trained_row *row, mn_error *err)
{
    population *p = context;
    member *m = &p->members[p->count % population_size];
    if (row->key.seed != 0 || row->round % p->session->opts->bound_count != p->session->goal)
        return MN_OK;
    m->accuracy = row->val_accuracy;
    memcpy(m->id, row->key.genotype_id, sizeof m->id);
    p->count++;
    return mn_genotype_parse(row->genotype.json, strlen(row->genotype.json), &m->genotype, err);
}

static const member *tournament(const population *p, mn_random *random)
{
    uint32_t alive = p->count < population_size ? (uint32_t)p->count : population_size;
    const member *best = &p->members[mn_random_below(random, alive)];
    for (uint32_t i = 1; i < sample_size; i++) {
        const member *other = &p->members[mn_random_below(random, alive)];
        if (other->accuracy > best->accuracy)
            best = other;
    }
    return best;
}

static mn_status breed(mn__session *session,
                       const population *p,
                       const mn_space *space,
                       mn_random *random,
                       mn__family *family,
                       mn_error *err)
{
    const member *parent = tournament(p, random);
    uint64_t seed = mn_random_next(random);
    family->parent.exists = true;
    family->parent.genotype = parent->genotype;
    mn_status status = mn__rungs_last_run(session, parent->id, &family->parent.run, err);
    if (status == MN_OK)
        status = mn__candidates_make(1, &family->children, err);
    if (status == MN_OK)
        status = mn_moves_mutate(
            space, &parent->genotype, MN_MOVES_ALL, seed, &family->children->items[0], err);
    return status;
}

mn_status
mn__propose_evolution(mn__session *session, uint32_t round, mn__families *families, mn_error *err)
{
    population p = {.session = session};
    mn_space space = mn__propose_space(session);
    mn_random random = mn__propose_stream(session, round);
    uint32_t count = mn__propose_attempts * session->opts->top_k;
    p.members = mn_calloc(population_size, sizeof *p.members);
    if (p.members == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_status status = mn_study_visit_trained(session->study, 0, round, join, &p, err);
    if (status == MN_OK && p.count < population_size) {
        free(p.members);
        return mn__propose_random(session, round, families, err);
    }
    families->enough = session->opts->top_k;
    if (status == MN_OK)
        status = mn__families_make(families, count, err);
    for (uint32_t i = 0; i < count && status == MN_OK; i++)
        status = breed(session, &p, &space, &random, &families->items[i], err);
    free(p.members);
    return status;
}
