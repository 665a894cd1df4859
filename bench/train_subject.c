/*
 * A network of ours with one random batch. See train_subject.h.
 */
#include "train_subject.h"

#include <stdlib.h>

#include "base/random.h"
#include "base/size.h"
#include "memnet/genotype.h"
#include "nets.h"

enum { cache_line = 64 };

static mn_status
make_graph(const mn_bench_run *run, const char *architecture, mn_graph **ret_graph, mn_error *err)
{
    mn_genotype genotype;
    if (architecture == NULL)
        return mn_bench_net(run->net, run->width, ret_graph, err);
    mn_status status = mn_genotype_load(architecture, &genotype, err);
    return status == MN_OK ? mn_genotype_lower(&genotype, ret_graph, err) : status;
}

static mn_status make_batch(mn_bench_subject *s, uint32_t count, mn_error *err)
{
    uint32_t classes = mn_graph_node(s->graph, mn_graph_output(s->graph, 0))->shape.c;
    mn_random random = mn_random_make(1, 1);
    size_t floats = 0;
    size_t bytes = 0;
    if (mn_size_mul(mn_shape_elements(mn_graph_node(s->graph, 0)->shape), count, &floats) &&
        mn_size_mul(floats, sizeof(float), &bytes) && mn_size_round_up(bytes, cache_line, &bytes))
        s->images = aligned_alloc(cache_line, bytes);
    s->labels = mn_calloc(count, sizeof *s->labels);
    if (s->images == NULL || s->labels == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < floats; i++)
        s->images[i] = mn_random_normal(&random);
    for (uint32_t i = 0; i < count; i++)
        s->labels[i] = (uint16_t)mn_random_below(&random, classes);
    s->batch = (mn_batch){.count = count, .images = s->images, .labels = s->labels};
    return MN_OK;
}

mn_status mn_bench_subject_init(mn_bench_subject *subject,
                                const mn_bench_run *run,
                                const char *architecture,
                                mn_error *err)
{
    *subject = (mn_bench_subject){0};
    mn_status status = make_graph(run, architecture, &subject->graph, err);
    if (status != MN_OK)
        return status;
    mn_trainer_setup setup = {.graph = subject->graph, .opts = mn_train_opts_default()};
    setup.preprocessing = (mn_preprocessing){.scale = 1.0f};
    setup.opts.batch = run->batch;
    setup.opts.threads = run->threads;
    setup.opts.compute = run->bf16 ? MN_COMPUTE_BF16 : MN_COMPUTE_FLOAT32;
    double start = mn_bench_now();
    status = mn_trainer_create(&setup, &subject->trainer, err);
    subject->build_ms = (mn_bench_now() - start) * 1e3;
    return status == MN_OK ? make_batch(subject, run->batch, err) : status;
}

void mn_bench_subject_done(mn_bench_subject *subject)
{
    mn_trainer_free(subject->trainer);
    mn_graph_free(subject->graph);
    free(subject->images);
    free(subject->labels);
    *subject = (mn_bench_subject){0};
}

mn_status mn_bench_subject_step(mn_bench_subject *subject, double *ret_seconds, mn_error *err)
{
    double loss = 0.0;
    double start = mn_bench_now();
    mn_status status = mn__trainer_step(subject->trainer, &subject->batch, 0.01f, &loss, err);
    if (status == MN_OK && ret_seconds != NULL)
        *ret_seconds = mn_bench_now() - start;
    return status;
}
