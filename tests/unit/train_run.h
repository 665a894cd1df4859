/* One forward and backward run of a network on random images: for tests of whole networks. */
#ifndef MN_TEST_TRAIN_RUN_H
#define MN_TEST_TRAIN_RUN_H

#include "test.h"

#include "memnet/train.h"
#include "train/network.h"
#include "train_fixture.h"

enum { run_batch = 5 };

/* A network with its parameters and images. */
typedef struct train_run {
    mn_arena *arena;
    mn__network *net;
    mn_tensors *tensors, *gradients;
    float *images, *logits_gradient;
} train_run;

static inline size_t run_pixels(const mn_graph *graph)
{
    return mn_shape_elements(mn_graph_node(graph, 0)->shape);
}

static inline train_run run_create_with(const mn_graph *graph, const mn__network_opts *opts)
{
    mn_error err;
    train_run r = {0};
    mn_random random = mn_random_make(29, 5);
    assert_ok(mn_arena_create(&r.arena, &err), &err);
    assert_ok(mn__network_create(graph, opts, r.arena, &r.net, &err), &err);
    assert_ok(mn_tensors_create_for_graph(graph, &r.gradients, &err), &err);
    r.tensors = tiny_random_tensors(graph, 7);
    r.images = calloc(run_batch * run_pixels(graph), sizeof *r.images);
    r.logits_gradient = calloc((size_t)run_batch * r.net->classes, sizeof *r.logits_gradient);
    assert_true(r.images != NULL && r.logits_gradient != NULL);
    for (size_t i = 0; i < run_batch * run_pixels(graph); i++)
        r.images[i] = mn_random_normal(&random);
    for (uint32_t i = 0; i < run_batch * r.net->classes; i++)
        r.logits_gradient[i] = mn_random_normal(&random) / run_batch;
    mn__parameters_import(r.net, MN__PART_VALUE, r.tensors);
    return r;
}

static inline train_run
run_create(const mn_graph *graph, const mn__simd *simd, uint32_t slices, bool separate)
{
    const mn__network_opts opts = {
        .batch = run_batch, .slices = slices, .simd = simd, .separate = separate};
    return run_create_with(graph, &opts);
}

/* No buffer holds a number that a step has not written. */
static inline void run_spoil(const train_run *r)
{
    for (const mn__buffer *b = r->net->buffers; b != NULL; b = b->next)
        if (b->first != MN_NONE)
            memset(b->data, 0xff, b->bytes);
    memset(r->net->scratch, 0xff, r->net->opts.slices * r->net->scratch_bytes);
}

/* Logits stay in the network, gradients of all tensors come out. */
static inline void run_once(train_run *r)
{
    const size_t logits = (size_t)run_batch * r->net->classes;
    run_spoil(r);
    mn__network_forward(r->net, r->images, true);
    memcpy(r->net->logits_gradient, r->logits_gradient, logits * sizeof(float));
    mn__network_backward(r->net);
    mn__parameters_export(r->net, MN__PART_GRADIENT, r->gradients);
}

static inline void run_done(train_run *r)
{
    free(r->images);
    free(r->logits_gradient);
    mn_tensors_free(r->tensors);
    mn_tensors_free(r->gradients);
    mn__network_free(r->net);
    mn_arena_free(r->arena);
}

/* Whether tensor `t` is learned: running statistics are not. */
static inline bool run_learns(const mn_graph *graph, uint32_t t)
{
    mn_tensor_role role = mn_graph_tensor(graph, t)->role;
    return role != MN_ROLE_MEAN && role != MN_ROLE_VARIANCE;
}

#endif
