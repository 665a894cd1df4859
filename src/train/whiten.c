/*
 * Whitening of the image's patches. All sums are in double and in one order, so that the filters
 * depend on data, seed and network only.
 */
#include "train/whiten.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "data/augment.h"
#include "train/eigen.h"

enum { most_images = 2000 };

static const uint64_t whiten_stream = 0x77686974656e; /* "whiten" */

/* Keeps directions without variance from becoming huge; the value of airbench. */
static const double epsilon = 5e-4;

/* The numbers of a kernel's span along one side, gaps of a dilation included. */
static uint64_t span(uint32_t kernel, uint32_t dilation)
{
    return (uint64_t)(kernel - 1) * dilation + 1;
}

static bool whitens(const mn_graph *graph, const mn_node *node)
{
    if (node->prim != MN_PRIM_CONV || node->groups != 1)
        return false;
    const mn_node *input = mn_graph_node(graph, node->inputs[0]);
    const mn_window *w = &node->window;
    const uint64_t taps = (uint64_t)w->kernel_h * w->kernel_w;
    return input->prim == MN_PRIM_INPUT && taps > 1 && taps <= MN__PATCH_MAX &&
           taps * input->shape.c <= MN__PATCH_MAX &&
           span(w->kernel_h, w->dilation_h) <= input->shape.h &&
           span(w->kernel_w, w->dilation_w) <= input->shape.w;
}

uint32_t mn__whiten_tensor(const mn_graph *graph)
{
    for (uint32_t n = 0; n < mn_graph_node_count(graph); n++) {
        const mn_node *node = mn_graph_node(graph, n);
        if (whitens(graph, node))
            return node->tensors[MN_ROLE_WEIGHT];
    }
    return MN_NONE;
}

/* Sums over patches; all owned. */
typedef struct statistics {
    uint32_t n;     /* numbers of a patch, (C,KH,KW) */
    uint64_t count; /* patches */
    double *sum;    /* (n) */
    double *square; /* (n,n) sums of products, later the covariance; row <= column is filled */
    float *image;   /* (C,H,W) the image at hand */
} statistics;

static void add_patch(statistics *s, const double *patch)
{
    s->count++;
    for (uint32_t i = 0; i < s->n; i++) {
        double *row = s->square + (size_t)i * s->n;
        s->sum[i] += patch[i];
        for (uint32_t j = i; j < s->n; j++)
            row[j] += patch[i] * patch[j];
    }
}

/* Every patch that lies inside of the image: the zeros around it are not the image's. */
static void add_image(statistics *s, mn_shape shape, const mn_window *w)
{
    const uint32_t rows = shape.h - (uint32_t)span(w->kernel_h, w->dilation_h) + 1;
    const uint32_t columns = shape.w - (uint32_t)span(w->kernel_w, w->dilation_w) + 1;
    double patch[MN__PATCH_MAX] = {0.0};
    for (uint32_t y = 0; y < rows; y++)
        for (uint32_t x = 0; x < columns; x++) {
            uint32_t at = 0;
            for (uint32_t c = 0; c < shape.c; c++)
                for (uint32_t ky = 0; ky < w->kernel_h; ky++) {
                    size_t row = (size_t)c * shape.h + y + (size_t)ky * w->dilation_h;
                    const float *from = s->image + row * shape.w + x;
                    for (uint32_t kx = 0; kx < w->kernel_w; kx++)
                        patch[at++] = (double)from[(size_t)kx * w->dilation_w];
                }
            add_patch(s, patch);
        }
}

/* Fills both halves of the covariance. */
static void finish(statistics *s)
{
    const double count = (double)s->count;
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t j = i; j < s->n; j++) {
            double *upper = s->square + (size_t)i * s->n + j;
            *upper = *upper / count - s->sum[i] / count * (s->sum[j] / count);
            s->square[(size_t)j * s->n + i] = *upper;
        }
}

/* Goes over the images that the seed chooses. */
static mn_status
collect(const mn_trainer_setup *setup, const mn_window *w, statistics *s, mn_error *err)
{
    const mn_dataset *dataset = setup->dataset;
    const mn_shape shape = dataset->shape;
    const size_t elements = (size_t)shape.h * shape.w * shape.c;
    const size_t bytes =
        elements * (dataset->pixel_type == MN_PIXEL_F32 ? sizeof(float) : sizeof(uint8_t));
    const mn__change none = {0};
    uint32_t *order = mn_calloc(setup->index_count, sizeof *order);
    if (order == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "whiten: out of memory");
    memcpy(order, setup->indices, setup->index_count * sizeof *order);
    mn_random random = mn_random_make(setup->opts.seed, whiten_stream);
    mn_random_shuffle(&random, order, setup->index_count);
    for (uint32_t i = 0; i < setup->index_count && i < most_images; i++) {
        mn__picture picture = {.shape = shape,
                               .type = dataset->pixel_type,
                               .preprocessing = setup->preprocessing,
                               .pixels = (const char *)dataset->train.pixels + order[i] * bytes};
        mn__change_apply(&none, &picture, s->image);
        add_image(s, shape, w);
    }
    free(order);
    finish(s);
    return MN_OK;
}

/* Writes the filters into weight (filters,n). */
static void write_filters(
    uint32_t n, const double *values, const double *vectors, uint32_t filters, float *weight)
{
    for (uint32_t f = 0; f < filters && f < 2 * n; f++) {
        const double *vector = vectors + (size_t)(f / 2) * n;
        double scale = 1.0 / sqrt(fmax(values[f / 2], 0.0) + epsilon);
        for (uint32_t i = 0; i < n; i++)
            weight[(size_t)f * n + i] = (float)((f % 2 == 0 ? scale : -scale) * vector[i]);
    }
}

mn_status mn__whiten(const mn_trainer_setup *setup, mn_tensors *tensors, mn_error *err)
{
    const uint32_t tensor = mn__whiten_tensor(setup->graph);
    const mn_tensor_info *info = mn_graph_tensor(setup->graph, tensor);
    const mn_shape shape = setup->dataset->shape;
    const uint32_t n = info->dims[1] * info->dims[2] * info->dims[3];
    mn_status status = MN_OK;
    statistics s = {
        .n = n,
        .sum = mn_calloc(n, sizeof *s.sum),
        .square = mn_calloc((size_t)n * n, sizeof *s.square),
        .image = mn_calloc((size_t)shape.h * shape.w * shape.c, sizeof *s.image),
    };
    double *values = mn_calloc(n, sizeof *values);
    double *vectors = mn_calloc((size_t)n * n, sizeof *vectors);
    if (s.sum == NULL || s.square == NULL || s.image == NULL || values == NULL || vectors == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "whiten: out of memory");
    else
        status = collect(setup, &mn_graph_node(setup->graph, info->node)->window, &s, err);
    if (status == MN_OK) {
        mn__eigen_symmetric(n, s.square, values, vectors);
        write_filters(n, values, vectors, info->dims[0], tensors->items[tensor].data);
    }
    free(vectors);
    free(values);
    free(s.image);
    free(s.square);
    free(s.sum);
    return status;
}
