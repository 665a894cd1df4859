/*
 * Random search: networks of the space, one after another, until enough of them fit. What any
 * cleverer strategy must beat.
 */
#include "base/random.h"
#include "base/size.h"
#include "search/propose.h"

mn_status
mn__propose_random(mn__session *session, uint32_t round, mn__families *families, mn_error *err)
{
    const mn_genotype *frame = &mn__session_goal(session)->frame;
    mn_space space = mn__propose_space(session);
    mn_random random = mn__propose_stream(session, round);
    uint32_t count = mn__propose_attempts * session->opts->top_k;
    families->enough = session->opts->top_k;
    mn_status status = mn__families_make(families, 1, err);
    if (status == MN_OK)
        status = mn__candidates_make(count, &families->items[0].children, err);
    for (uint32_t i = 0; i < count && status == MN_OK; i++) {
        mn_candidate *child = &families->items[0].children->items[i];
        child->kind = MN_MOVE_RANDOM;
        status = mn_moves_random(&space, frame, mn_random_next(&random), &child->genotype, err);
    }
    return status;
}
