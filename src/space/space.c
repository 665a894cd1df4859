/*
 * The larger search space as lists and as random draws: neighbours, one random neighbour, and
 * random networks all keep the limits of one mn_space.
 */
#include "space/space.h"

#include "base/random.h"
#include "space/children.h"
#include "space/genotype_check.h"

static const uint32_t widths[] = {4,   8,   12,  16,  24,  32,   48,   64,   96,   128,
                                  192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096};
enum { width_count = sizeof widths / sizeof widths[0] };

mn_space mn_space_default(void)
{
    return (mn_space){
        .ops = (UINT32_C(1) << MN_OP_COUNT) - 1,
        .max_blocks = 8,
        .max_cells = 13,
        .min_width = 4,
        .max_width = 1024,
    };
}

mn_status mn_space_check(const mn_space *space, mn_error *err)
{
    const uint32_t links = UINT32_C(1) << MN_OP_IDENTITY;
    if (space->ops >> MN_OP_COUNT != 0 || (space->ops & ~links) == 0)
        return mn_error_set(
            err, MN_ERR_ARG, "space: ops 0x%x: unknown ones, or none but identity", space->ops);
    mn_status status = mn__number_check(MN__BLOCK_COUNT, space->max_blocks, "space", err);
    if (status == MN_OK)
        status = mn__number_check(MN__CELL_COUNT, space->max_cells, "space", err);
    if (status == MN_OK)
        status = mn__number_check(MN__WIDTH, space->min_width, "space", err);
    if (status == MN_OK)
        status = mn__number_check(MN__WIDTH, space->max_width, "space", err);
    if (status == MN_OK && space->min_width > space->max_width)
        status = mn_error_set(err,
                              MN_ERR_ARG,
                              "space: min_width %u above max_width %u",
                              space->min_width,
                              space->max_width);
    return status;
}

uint32_t mn__space_ops(const mn_space *space, mn_cell_op ret_ops[MN_OP_COUNT])
{
    uint32_t count = 0;
    for (unsigned op = 0; op < MN_OP_COUNT; op++)
        if ((space->ops >> op & 1) != 0)
            ret_ops[count++] = (mn_cell_op)op;
    return count;
}

uint32_t mn__width_step(const mn_space *space, uint32_t width, bool wider)
{
    uint32_t found = 0;
    for (int i = 0; i < width_count && wider && found == 0; i++)
        if (widths[i] > width)
            found = widths[i];
    for (int i = width_count; i-- > 0 && !wider && found == 0;)
        if (widths[i] < width)
            found = widths[i];
    return found < space->min_width || found > space->max_width ? 0 : found;
}

/* ---- neighbours ------------------------------------------------------------------------------ */

static mn_status check_both(const mn_space *space, const mn_genotype *base, mn_error *err)
{
    mn_status status = mn_space_check(space, err);
    return status == MN_OK ? mn_genotype_check(base, err) : status;
}

static void
walk_kinds(mn__collector *to, const mn_space *space, const mn_genotype *base, uint32_t kinds)
{
    for (unsigned kind = 0; kind < MN_MOVE_COUNT; kind++)
        if ((kinds & MN_MOVES_ALL & MN_MOVE_BIT(kind)) != 0)
            mn__walk_moves(to, space, base, (mn_move_kind)kind);
}

static size_t count_children(const mn_space *space, const mn_genotype *base, uint32_t kinds)
{
    mn__collector to = {.base = base, .wanted = MN__ALL_CHILDREN};
    walk_kinds(&to, space, base, kinds);
    return to.count;
}

mn_status mn_moves_neighbours(const mn_space *space,
                              const mn_genotype *base,
                              uint32_t kinds,
                              mn_candidates **ret_candidates,
                              mn_error *err)
{
    mn_status status = check_both(space, base, err);
    if (status != MN_OK)
        return status;
    mn__collector to = {.base = base, .wanted = MN__ALL_CHILDREN, .err = err};
    status = mn__candidates_create(count_children(space, base, kinds), &to.list, err);
    if (status != MN_OK)
        return status;
    walk_kinds(&to, space, base, kinds);
    if (to.status == MN_OK)
        *ret_candidates = to.list;
    else
        mn_candidates_free(to.list);
    return to.status;
}

mn_status mn_moves_mutate(const mn_space *space,
                          const mn_genotype *parent,
                          uint32_t kinds,
                          uint64_t seed,
                          mn_candidate *ret_child,
                          mn_error *err)
{
    size_t counts[MN_MOVE_COUNT] = {0};
    uint32_t useful[MN_MOVE_COUNT];
    uint32_t useful_count = 0;
    mn_status status = check_both(space, parent, err);
    if (status != MN_OK)
        return status;
    for (uint32_t kind = 0; kind < MN_MOVE_COUNT; kind++) {
        counts[kind] = count_children(space, parent, kinds & MN_MOVE_BIT(kind));
        if (counts[kind] > 0)
            useful[useful_count++] = kind;
    }
    if (useful_count == 0)
        return mn_error_set(err, MN_ERR_LIMIT, "no move leads on from this network");
    mn_random random = mn_random_make(seed, 0x6d7574617465); /* "mutate" */
    uint32_t kind = useful[mn_random_below(&random, useful_count)];
    mn_candidate child = {0};
    mn_candidates list = {.items = &child};
    mn__collector to = {.base = parent, .list = &list, .err = err};
    to.wanted = mn_random_below(&random, (uint32_t)counts[kind]);
    walk_kinds(&to, space, parent, MN_MOVE_BIT(kind));
    if (to.status == MN_OK)
        *ret_child = child;
    return to.status;
}
