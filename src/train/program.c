/*
 * Programs: lists of steps that run in order, in groups. Within a group each image passes through
 * all steps before the next one comes, so that what one step writes is still in the cache when the
 * next reads it. A group ends where a step needs the end of another one in it: the statistics of a
 * whole batch.
 */
#include "train/program.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

mn_status mn__network_alloc(mn__network *net, size_t count, size_t size, void **ret, mn_error *err)
{
    size_t bytes;
    if (!mn_size_mul(count, size, &bytes))
        return mn_error_set(err, MN_ERR_NOMEM, "no memory for %zu x %zu bytes", count, size);
    return mn_arena_alloc(net->arena, bytes, ret, err);
}

uint32_t mn__next_step(const mn__network *net)
{
    return net->forward.count + net->backward.count;
}

mn_status
mn__program_add(mn__network *net, mn__program *program, const mn__step *step, mn_error *err)
{
    if (program->count == program->capacity) {
        uint32_t larger = program->capacity == 0 ? 64 : program->capacity * 2;
        mn__step *grown = realloc(program->steps, larger * sizeof *grown);
        if (grown == NULL)
            return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        program->steps = grown;
        program->capacity = larger;
    }
    mn__step *added = &program->steps[program->count++];
    *added = *step;
    added->needs = net->needs;
    net->needs = MN_NONE;
    return MN_OK;
}

/* The step behind the group that begins with step `from`; numbers count from `first`. */
static uint32_t group_end(const mn__program *program, uint32_t from, uint32_t first)
{
    uint32_t to = from + 1;
    while (to < program->count) {
        uint32_t needs = program->steps[to].needs;
        if (needs != MN_NONE && needs >= first + from)
            break;
        to++;
    }
    return to;
}

mn_status mn__groups_find(const mn__network *net,
                          uint32_t **ret_group_of,
                          uint32_t *ret_groups,
                          mn_error *err)
{
    const mn__program *programs[] = {&net->forward, &net->backward};
    uint32_t *group_of = mn_calloc(mn__next_step(net), sizeof *group_of);
    uint32_t group = 0;
    uint32_t first = 0;
    if (group_of == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (int p = 0; p < 2; p++) {
        for (uint32_t from = 0; from < programs[p]->count; group++) {
            uint32_t to = group_end(programs[p], from, first);
            for (; from < to; from++)
                group_of[first + from] = group;
        }
        first += programs[p]->count;
    }
    *ret_group_of = group_of;
    *ret_groups = group;
    return MN_OK;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The images of one worker through steps [from,to). */
static void run_slice(const mn__network *net,
                      mn__program *program,
                      uint32_t from,
                      uint32_t to,
                      const mn__worker *worker)
{
    uint64_t batch = net->opts.batch;
    uint32_t begin = (uint32_t)(batch * worker->slice / net->opts.slices);
    uint32_t end = (uint32_t)(batch * (worker->slice + 1) / net->opts.slices);
    bool timed = net->profiled && worker->slice == 0;
    for (uint32_t image = begin; image < end; image++)
        for (uint32_t s = from; s < to; s++) {
            mn__step *step = &program->steps[s];
            double start = timed ? seconds() : 0.0;
            if (step->image != NULL)
                step->image(step->context, worker, image);
            if (timed)
                step->seconds += seconds() - start;
        }
}

/* begin or end of a step, timed when the network is profiled. */
static void run_once(const mn__network *net,
                     mn__step *step,
                     void (*once)(const void *context, bool train),
                     bool train)
{
    double start = net->profiled ? seconds() : 0.0;
    if (once != NULL)
        once(step->context, train);
    if (net->profiled)
        step->seconds += seconds() - start;
}

void mn__program_run(mn__network *net, mn__program *program, uint32_t first, bool train)
{
    const uint32_t slices = net->opts.slices;
    for (uint32_t from = 0; from < program->count;) {
        uint32_t to = group_end(program, from, first);
        for (uint32_t s = from; s < to; s++)
            run_once(net, &program->steps[s], program->steps[s].begin, train);
#pragma omp parallel for schedule(static, 1) num_threads((int)slices) if (slices > 1)
        for (uint32_t slice = 0; slice < slices; slice++) {
            mn__worker worker = {.slice = slice,
                                 .train = train,
                                 .scratch = net->scratch + (size_t)slice * net->scratch_bytes};
            run_slice(net, program, from, to, &worker);
        }
        for (uint32_t s = from; s < to; s++)
            run_once(net, &program->steps[s], program->steps[s].end, train);
        from = to;
    }
}
