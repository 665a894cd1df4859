/*
 * Gradient buffers while the backward program is built. The program runs in the order in which it
 * was built, so a buffer whose last reader has been added can be given to a later step: that is
 * what the reference counts are for.
 */
#include "train/network.h"

static mn_status add_contribution(mn__value *value, mn__gradient *gradient, mn_error *err)
{
    if (value->gradient_count == value->gradient_capacity)
        return mn_error_set(err, MN_ERR_INTERNAL, "more gradients than readers");
    value->gradients[value->gradient_count++] = gradient;
    return MN_OK;
}

/* A buffer of that size that nobody refers to any more, or a new one. Holds one reference. */
static mn_status take(mn__network *net, const mn__value *value, mn__gradient **ret, mn_error *err)
{
    mn__gradient *gradient = net->gradients;
    while (gradient != NULL && (gradient->references > 0 || gradient->bytes != value->bytes))
        gradient = gradient->next;
    if (gradient == NULL) {
        void *block = NULL;
        void *data = NULL;
        mn_status status = mn__network_alloc(net, 1, sizeof *gradient, &block, err);
        if (status == MN_OK)
            status = mn__network_alloc(net, value->bytes, 1, &data, err);
        if (status != MN_OK)
            return status;
        gradient = block;
        gradient->bytes = value->bytes;
        gradient->data = data;
        gradient->next = net->gradients;
        net->gradients = gradient;
    }
    mn_status status = mn__memory_create(net, &value->desc, gradient->data, &gradient->memory, err);
    if (status != MN_OK)
        return status;
    gradient->references = 1;
    *ret = gradient;
    return MN_OK;
}

mn_status mn__gradient_new(mn__network *net, mn__value *value, mn__gradient **ret, mn_error *err)
{
    mn__gradient *gradient = NULL;
    mn_status status = take(net, value, &gradient, err);
    if (status == MN_OK)
        status = add_contribution(value, gradient, err);
    if (status == MN_OK)
        *ret = gradient;
    return status;
}

mn_status mn__gradient_share(mn__value *value, mn__gradient *gradient, mn_error *err)
{
    mn_status status = add_contribution(value, gradient, err);
    if (status == MN_OK)
        gradient->references++;
    return status;
}

void mn__gradient_release(mn__gradient *gradient)
{
    gradient->references--;
}

typedef struct accumulation {
    const mn__simd *simd;
    float *sum;
    uint32_t term_count;
    size_t count;
    const float **terms;
} accumulation;

static void run_accumulation(const void *context)
{
    const accumulation *a = context;
    a->simd->accumulate(a->sum, a->terms, a->term_count, a->count);
}

/* Moves a contribution that nobody else reads to the front, for the others to be added to; NULL
 * when there is none. */
static mn__gradient *pick_sum(mn__value *value)
{
    for (uint32_t i = 0; i < value->gradient_count; i++) {
        mn__gradient *gradient = value->gradients[i];
        if (gradient->references == 1) {
            value->gradients[i] = value->gradients[0];
            value->gradients[0] = gradient;
            return gradient;
        }
    }
    return NULL;
}

typedef struct addition {
    const mn__simd *simd;
    float *out;
    const float *a, *b;
    size_t count;
} addition;

static void run_addition(const void *context)
{
    const addition *a = context;
    a->simd->add(a->out, a->a, a->b, a->count);
}

/* Every contribution is read elsewhere too: the first two are added into a new buffer, which takes
 * their place in the list. */
static mn_status merge_two(mn__network *net, mn__value *value, mn__gradient **ret, mn_error *err)
{
    mn__gradient *sum = NULL;
    void *block = NULL;
    mn_status status = take(net, value, &sum, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, 1, sizeof(addition), &block, err);
    if (status != MN_OK)
        return status;
    addition *a = block;
    *a = (addition){.simd = net->backend.simd,
                    .out = sum->data,
                    .a = value->gradients[0]->data,
                    .b = value->gradients[1]->data,
                    .count = value->bytes / sizeof(float)};
    status = mn__program_function(&net->backward, run_addition, a, err);
    mn__gradient_release(value->gradients[0]);
    mn__gradient_release(value->gradients[1]);
    value->gradients[0] = sum;
    value->gradients[1] = value->gradients[value->gradient_count - 1];
    value->gradient_count--;
    *ret = sum;
    return status;
}

/* Adds a step that adds all other contributions to the first, `sum`. */
static mn_status
accumulate_rest(mn__network *net, mn__value *value, const mn__gradient *sum, mn_error *err)
{
    void *block = NULL;
    void *terms = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(accumulation), &block, err);
    if (status == MN_OK)
        status = mn__network_alloc(net, value->gradient_count, sizeof(float *), &terms, err);
    if (status != MN_OK)
        return status;
    accumulation *a = block;
    *a = (accumulation){.simd = net->backend.simd,
                        .sum = sum->data,
                        .term_count = value->gradient_count - 1,
                        .count = value->bytes / sizeof(float),
                        .terms = terms};
    for (uint32_t i = 1; i < value->gradient_count; i++) {
        a->terms[i - 1] = value->gradients[i]->data;
        mn__gradient_release(value->gradients[i]);
    }
    return mn__program_function(&net->backward, run_accumulation, a, err);
}

mn_status
mn__gradient_collect(mn__network *net, mn__value *value, mn__gradient **ret, mn_error *err)
{
    mn_status status = MN_OK;
    if (value->gradient_count == 0) {
        *ret = NULL;
        return MN_OK;
    }
    if (value->gradient_count > 1) {
        mn__gradient *sum = pick_sum(value);
        if (sum == NULL)
            status = merge_two(net, value, &sum, err);
        if (status == MN_OK && value->gradient_count > 1)
            status = accumulate_rest(net, value, sum, err);
    }
    if (status == MN_OK)
        *ret = value->gradients[0];
    value->gradient_count = 0;
    return status;
}
