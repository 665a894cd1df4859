/*
 * Runs the float32 network over images and watches the values. Images are cut into a fixed number
 * of chunks, one after another summed up in order, so that the result does not depend on the
 * threads.
 *
 * With a percentile there is a second pass, which counts numbers in bins over the ranges of the
 * first.
 */
#include "quant/calibrate.h"

#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "quant/network.h"

enum { CHUNKS = 16, BINS = 2048 };

/* What one chunk of images has shown. */
typedef struct chunk {
    const mn__float_network *network;
    const mn__calibration *ranges; /* second pass: those of the first; else NULL */
    const size_t *channel_at;      /* (nodes) */
    float *arena;
    float *low, *high; /* (nodes) */
    double *sums;      /* (channels of all nodes) */
    uint64_t *bins;    /* (nodes, BINS); NULL in the first pass */
} chunk;

typedef struct calibrator {
    const mn__float_network *network;
    const mn_quantize_input *input;
    uint32_t images; /* how many are looked at */
    size_t channels; /* of all nodes */
    uint32_t threads;
    bool counts; /* second pass */
    chunk chunks[CHUNKS];
} calibrator;

/* ---- watching ------------------------------------------------------------------------------- */

static void
watch(chunk *c, uint32_t n, const float *values, uint32_t pixel_stride, const mn_node *node)
{
    uint32_t channels = node->shape.c;
    double *sums = c->sums + c->channel_at[n];
    float low = c->low[n];
    float high = c->high[n];
    for (uint32_t p = 0; p < mn__pixels_of(node); p++) {
        const float *pixel = values + (size_t)p * pixel_stride;
        for (uint32_t k = 0; k < channels; k++) {
            low = pixel[k] < low ? pixel[k] : low;
            high = pixel[k] > high ? pixel[k] : high;
            sums[k] += (double)pixel[k];
        }
    }
    c->low[n] = low;
    c->high[n] = high;
}

static void
count(chunk *c, uint32_t n, const float *values, uint32_t pixel_stride, const mn_node *node)
{
    double low = (double)c->ranges->low[n];
    double width = (double)c->ranges->high[n] - low;
    double per_bin = width > 0 ? BINS / width : 0;
    uint64_t *bins = c->bins + (size_t)n * BINS;
    for (uint32_t p = 0; p < mn__pixels_of(node); p++) {
        const float *pixel = values + (size_t)p * pixel_stride;
        for (uint32_t k = 0; k < node->shape.c; k++) {
            double at = ((double)pixel[k] - low) * per_bin;
            bins[at < BINS - 1 ? (size_t)at : BINS - 1]++;
        }
    }
}

static void visit(void *context, uint32_t n, const float *values, uint32_t pixel_stride)
{
    chunk *c = context;
    const mn_node *node = mn_graph_node(c->network->graph, n);
    if (c->bins == NULL)
        watch(c, n, values, pixel_stride, node);
    else
        count(c, n, values, pixel_stride, node);
}

/* Image number i of those that are looked at, as the network reads it. */
static void load_image(const calibrator *k, uint32_t i, float *to)
{
    const mn_quantize_input *in = k->input;
    uint32_t at = (uint32_t)((uint64_t)i * in->index_count / k->images);
    size_t image = in->indices == NULL ? at : in->indices[at];
    size_t elements = mn_shape_elements(in->dataset->shape);
    const uint8_t *bytes = (const uint8_t *)in->dataset->train.pixels + image * elements;
    const float *floats = (const float *)in->dataset->train.pixels + image * elements;
    for (size_t e = 0; e < elements; e++) {
        float pixel = in->dataset->pixel_type == MN_PIXEL_U8 ? (float)bytes[e] : floats[e];
        to[e] = (pixel - in->preprocessing.mean) * in->preprocessing.scale;
    }
}

static void run_chunk(const calibrator *k, chunk *c, uint32_t number)
{
    uint32_t first = (uint32_t)((uint64_t)number * k->images / CHUNKS);
    uint32_t end = (uint32_t)((uint64_t)(number + 1) * k->images / CHUNKS);
    for (uint32_t i = first; i < end; i++) {
        load_image(k, i, mn__float_input(k->network, c->arena));
        mn__float_run(k->network, c->arena, visit, c);
    }
}

static bool chunk_init(const calibrator *k, const mn__calibration *ranges, chunk *c)
{
    uint32_t nodes = ranges->nodes;
    *c = (chunk){.network = k->network, .ranges = ranges, .channel_at = ranges->channel_at};
    c->arena = mn_calloc(k->network->plan->arena_bytes, 1);
    c->low = mn_calloc(nodes, sizeof *c->low);
    c->high = mn_calloc(nodes, sizeof *c->high);
    c->sums = mn_calloc(k->channels, sizeof *c->sums);
    if (k->counts)
        c->bins = mn_calloc((size_t)nodes * BINS, sizeof *c->bins);
    for (uint32_t n = 0; c->low != NULL && c->high != NULL && n < nodes; n++) {
        c->low[n] = INFINITY;
        c->high[n] = -INFINITY;
    }
    return c->arena != NULL && c->low != NULL && c->high != NULL && c->sums != NULL &&
           (c->bins != NULL || !k->counts);
}

static void chunk_done(chunk *c)
{
    free(c->arena);
    free(c->low);
    free(c->high);
    free(c->sums);
    free(c->bins);
    *c = (chunk){0};
}

/* One pass over the images; the chunks are to be emptied whatever the outcome. */
static mn_status pass(calibrator *k, const mn__calibration *ranges, mn_error *err)
{
    bool good = true;
    for (uint32_t i = 0; i < CHUNKS && good; i++)
        good = chunk_init(k, ranges, &k->chunks[i]);
    if (!good)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory for calibration");
#pragma omp parallel for num_threads((int)k->threads) schedule(dynamic, 1)
    for (uint32_t i = 0; i < CHUNKS; i++)
        run_chunk(k, &k->chunks[i], i);
    return MN_OK;
}

/* ---- summing up ----------------------------------------------------------------------------- */

/* Adds what all chunks have seen of node n. */
static mn_status sum_up(const calibrator *k, uint32_t n, mn__calibration *ret, mn_error *err)
{
    const mn_node *node = mn_graph_node(k->network->graph, n);
    double *means = ret->means + ret->channel_at[n];
    bool finite = true;
    ret->low[n] = INFINITY;
    ret->high[n] = -INFINITY;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        const chunk *c = &k->chunks[i];
        ret->low[n] = c->low[n] < ret->low[n] ? c->low[n] : ret->low[n];
        ret->high[n] = c->high[n] > ret->high[n] ? c->high[n] : ret->high[n];
        for (uint32_t x = 0; x < node->shape.c; x++)
            means[x] += c->sums[ret->channel_at[n] + x];
    }
    for (uint32_t x = 0; x < node->shape.c; x++) {
        means[x] /= (double)k->images * mn__pixels_of(node);
        finite = finite && isfinite(means[x]); /* the sums hold every number */
    }
    if (!finite)
        return mn_error_set(
            err, MN_ERR_UNSUPPORTED, "node '%s': its float32 values are not finite", node->name);
    ret->has_means[n] = ret->low[n] <= ret->high[n];
    return MN_OK;
}

/* Means of what no kernel made follow from those of its parts. */
static void derive_means(const mn_graph *graph, uint32_t n, mn__calibration *ret)
{
    const mn_node *node = mn_graph_node(graph, n);
    double *to = ret->means + ret->channel_at[n];
    bool known = node->input_count > 0;
    uint32_t channel = 0;
    if (ret->has_means[n] || (node->prim != MN_PRIM_CONCAT && node->prim != MN_PRIM_RESHAPE))
        return;
    for (uint32_t i = 0; i < node->input_count; i++) {
        uint32_t x = node->inputs[i];
        uint32_t width = mn_graph_node(graph, x)->shape.c;
        known =
            known && ret->has_means[x] && (node->prim == MN_PRIM_CONCAT || width == node->shape.c);
        for (uint32_t k = 0; known && k < width; k++)
            to[channel++] = ret->means[ret->channel_at[x] + k];
    }
    ret->has_means[n] = known;
}

/* The range of node n without the outermost numbers, to the width of a bin. */
static void narrow(const calibrator *k, uint32_t n, double percentile, mn__calibration *ret)
{
    uint64_t total = 0;
    uint64_t bins[BINS] = {0};
    double low = (double)ret->low[n];
    double width = ((double)ret->high[n] - low) / BINS;
    for (uint32_t b = 0; b < BINS; b++) {
        for (uint32_t i = 0; i < CHUNKS; i++)
            bins[b] += k->chunks[i].bins[(size_t)n * BINS + b];
        total += bins[b];
    }
    uint64_t most = (uint64_t)((100.0 - percentile) / 100.0 * (double)total);
    uint32_t first = 0;
    uint32_t last = BINS - 1;
    for (uint64_t left = 0; first < last && left + bins[first] <= most; first++)
        left += bins[first];
    for (uint64_t left = 0; first < last && left + bins[last] <= most; last--)
        left += bins[last];
    ret->low[n] = (float)(low + first * width);
    ret->high[n] = (float)(low + (last + 1) * width);
}

static mn_status allocate(calibrator *k, mn__calibration *ret, mn_error *err)
{
    uint32_t nodes = mn_graph_node_count(k->network->graph);
    ret->nodes = nodes;
    ret->low = mn_calloc(nodes, sizeof *ret->low);
    ret->high = mn_calloc(nodes, sizeof *ret->high);
    ret->channel_at = mn_calloc(nodes, sizeof *ret->channel_at);
    ret->has_means = mn_calloc(nodes, sizeof *ret->has_means);
    if (ret->channel_at != NULL) {
        for (uint32_t n = 0; n < nodes; n++) {
            ret->channel_at[n] = k->channels;
            k->channels += mn_graph_node(k->network->graph, n)->shape.c;
        }
    }
    ret->means = mn_calloc(k->channels, sizeof *ret->means);
    if (ret->low == NULL || ret->high == NULL || ret->channel_at == NULL ||
        ret->has_means == NULL || ret->means == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory for calibration");
    return MN_OK;
}

static mn_status second_pass(calibrator *k, double percentile, mn__calibration *ret, mn_error *err)
{
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunk_done(&k->chunks[i]);
    k->counts = true;
    mn_status status = pass(k, ret, err);
    for (uint32_t n = 0; n < ret->nodes && status == MN_OK; n++)
        if (ret->low[n] < ret->high[n] && n != k->network->output)
            narrow(k, n, percentile, ret);
    return status;
}

mn_status mn__calibrate(const mn__float_network *network,
                        const mn_quantize_input *input,
                        const mn_quantize_opts *opts,
                        mn__calibration *ret,
                        mn_error *err)
{
    calibrator k = {
        .network = network,
        .input = input,
        .images = opts->images < input->index_count ? opts->images : input->index_count,
        .threads = opts->threads,
    };
    mn_status status = allocate(&k, ret, err);
    if (status == MN_OK)
        status = pass(&k, ret, err);
    for (uint32_t n = 0; n < ret->nodes && status == MN_OK; n++)
        status = sum_up(&k, n, ret, err);
    for (uint32_t n = 0; n < ret->nodes && status == MN_OK; n++)
        derive_means(network->graph, n, ret);
    if (status == MN_OK && opts->percentile < 100)
        status = second_pass(&k, opts->percentile, ret, err);
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunk_done(&k.chunks[i]);
    return status;
}

void mn__calibration_done(mn__calibration *calibration)
{
    free(calibration->low);
    free(calibration->high);
    free(calibration->channel_at);
    free(calibration->means);
    free(calibration->has_means);
    *calibration = (mn__calibration){0};
}
