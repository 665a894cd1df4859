/*
 * The weight gradient of a convolution, and two detours around oneDNN 2.6's reference paths. A
 * depthwise gradient of 3x3 or 5x5 is ours (simd.c). A dilated one without stride, which has no
 * AVX2 kernel, is taken apart into phases: pixel (y,x) of the input and of the output meet only
 * where y and x agree modulo the dilation d, so the d*d thinned images go into a dense gradient as
 * a batch that is d*d times as large.
 */
#include <string.h>

#include "train/conv.h"

/* A value and its phases: image (n*d + r)*d + s holds pixels (y*d + r, x*d + s) of image n. */
typedef struct split {
    const float *from;
    float *to;
    uint32_t batch, blocks, h, w, phase_h, phase_w, dilation, width;
} split;

struct mn__phases {
    split source, gradient;
    dnnl_memory_t source_memory, gradient_memory;
};

/* One block of one phase; pixels past the image, which not every phase has, stay zero. */
static void split_block(const split *s, size_t image, size_t block)
{
    size_t n = image / s->dilation / s->dilation;
    size_t r = image / s->dilation % s->dilation;
    size_t q = image % s->dilation;
    const float *from = s->from + (n * s->blocks + block) * s->h * s->w * s->width;
    float *to = s->to + (image * s->blocks + block) * s->phase_h * s->phase_w * s->width;
    for (size_t y = r, i = 0; y < s->h; y += s->dilation, i++)
        for (size_t x = q, k = 0; x < s->w; x += s->dilation, k++)
            memcpy(to + (i * s->phase_w + k) * s->width,
                   from + (y * s->w + x) * s->width,
                   s->width * sizeof(float));
}

static void run_split(const void *context)
{
    const split *s = context;
    size_t images = (size_t)s->batch * s->dilation * s->dilation;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < images; i++)
        for (size_t block = 0; block < s->blocks; block++)
            split_block(s, i, block);
}

static mn_status describe(const mn__conv_shape *c, dnnl_convolution_desc_t *ret_op, mn_error *err)
{
    return mn__dnnl(dnnl_dilated_convolution_backward_weights_desc_init(ret_op,
                                                                        dnnl_convolution_direct,
                                                                        &c->source,
                                                                        &c->filter_any,
                                                                        c->bias_or_null,
                                                                        &c->out,
                                                                        c->strides,
                                                                        c->dilates,
                                                                        c->pad_before,
                                                                        c->pad_after),
                    "convolution backward weights",
                    err);
}

static mn_status build_primitive(mn__network *net,
                                 uint32_t n,
                                 const mn__conv_shape *c,
                                 dnnl_primitive_desc_t forward,
                                 mn__conv *conv,
                                 dnnl_memory_desc_t *ret_desc,
                                 mn_error *err)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    mn_status status = describe(c, &op, err);
    if (status == MN_OK)
        status = mn__primitive_create(
            net, n, "backward weights", &op, forward, &desc, &conv->backward_weights, err);
    if (status != MN_OK)
        return status;
    *ret_desc = mn__queried(desc, dnnl_query_diff_weights_md);
    (void)dnnl_primitive_desc_destroy(desc);
    return MN_OK;
}

/* True when oneDNN would take its reference path. */
static mn_status falls_to_reference(const mn__network *net,
                                    const mn__conv_shape *c,
                                    dnnl_primitive_desc_t forward,
                                    bool *ret_falls,
                                    mn_error *err)
{
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t desc = NULL;
    const char *name = "";
    mn_status status = describe(c, &op, err);
    if (status == MN_OK)
        status =
            mn__dnnl(dnnl_primitive_desc_create(&desc, &op, NULL, net->backend.engine, forward),
                     "convolution backward weights",
                     err);
    if (status != MN_OK)
        return status;
    (void)dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name);
    *ret_falls = strstr(name, "ref") != NULL;
    (void)dnnl_primitive_desc_destroy(desc);
    return MN_OK;
}

/* ---- phases ------------------------------------------------------------------------------------
 */

static bool has_phases(const mn_window *w)
{
    return w->dilation_h == w->dilation_w && w->dilation_h > 1 && w->stride_h == 1 &&
           w->stride_w == 1 && w->pad_top % w->dilation_h == 0 && w->pad_left % w->dilation_w == 0;
}

static mn_shape phase_shape(mn_shape shape, uint32_t dilation)
{
    return (mn_shape){
        (shape.h + dilation - 1) / dilation, (shape.w + dilation - 1) / dilation, shape.c};
}

static mn_status create_split(mn__network *net,
                              const mn__value *value,
                              uint32_t dilation,
                              dnnl_memory_desc_t *ret_desc,
                              dnnl_memory_t *ret_memory,
                              split *ret_split,
                              mn_error *err)
{
    mn_shape phase = phase_shape(value->shape, dilation);
    dnnl_dims_t dims = {
        (dnnl_dim_t)net->batch * dilation * dilation, value->lanes, phase.h, phase.w};
    mn_status status =
        mn__dnnl(dnnl_memory_desc_init_by_tag(ret_desc, 4, dims, dnnl_f32, net->backend.blocked),
                 "phases",
                 err);
    if (status == MN_OK)
        status = mn__memory_create(net, ret_desc, NULL, ret_memory, err);
    if (status != MN_OK)
        return status;
    *ret_split = (split){.from = value->data,
                         .to = mn__memory_data(*ret_memory),
                         .batch = net->batch,
                         .blocks = value->lanes / net->backend.simd->lanes,
                         .h = value->shape.h,
                         .w = value->shape.w,
                         .phase_h = phase.h,
                         .phase_w = phase.w,
                         .dilation = dilation,
                         .width = net->backend.simd->lanes};
    return MN_OK;
}

static mn_status build_phases(mn__network *net,
                              uint32_t n,
                              const mn_window *window,
                              const mn__conv_shape *c,
                              const mn__value *in,
                              const mn__value *out,
                              mn__conv *conv,
                              dnnl_memory_desc_t *ret_desc,
                              mn_error *err)
{
    uint32_t d = window->dilation_h;
    mn_window dense = *window;
    mn__conv_shape shape = *c;
    dnnl_convolution_desc_t op;
    dnnl_primitive_desc_t forward = NULL;
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__phases), &block, err);
    if (status != MN_OK)
        return status;
    mn__phases *phases = block;
    status = create_split(net, in, d, &shape.source, &phases->source_memory, &phases->source, err);
    if (status == MN_OK)
        status =
            create_split(net, out, d, &shape.out, &phases->gradient_memory, &phases->gradient, err);
    if (status != MN_OK)
        return status;
    dense.dilation_h = dense.dilation_w = 1;
    dense.pad_top /= d;
    dense.pad_left /= d;
    mn__conv_fill_window(&dense, phase_shape(in->shape, d), phase_shape(out->shape, d), &shape);
    shape.bias_or_null = c->bias_or_null == NULL ? NULL : &shape.bias_desc;
    status = mn__conv_describe_forward(&shape, &op, err);
    if (status == MN_OK)
        status =
            mn__dnnl(dnnl_primitive_desc_create(&forward, &op, NULL, net->backend.engine, NULL),
                     "phases",
                     err);
    if (status == MN_OK)
        status = build_primitive(net, n, &shape, forward, conv, ret_desc, err);
    if (forward != NULL)
        (void)dnnl_primitive_desc_destroy(forward);
    conv->phases = phases;
    return status;
}

/* ---- depthwise ---------------------------------------------------------------------------------
 */

/* Our own gradient covers square 3x3 and 5x5 depthwise filters without dilation or bias. */
static bool is_ours(const mn_window *w, const mn__conv_shape *c)
{
    uint32_t kernel = w->kernel_h;
    return c->filter_rank == 5 && c->bias_or_null == NULL && kernel == w->kernel_w &&
           (kernel == 3 || kernel == 5) && w->stride_h == w->stride_w && w->dilation_h == 1 &&
           w->dilation_w == 1 && w->pad_top < kernel && w->pad_left < kernel;
}

static mn_status build_own(mn__network *net,
                           const mn_window *w,
                           const mn__conv_shape *c,
                           const mn__value *in,
                           const mn__value *out,
                           mn__conv *conv,
                           dnnl_memory_desc_t *ret_desc,
                           mn_error *err)
{
    void *block = NULL;
    void *scratch = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__depthwise), &block, err);
    if (status != MN_OK)
        return status;
    mn__depthwise *g = block;
    uint32_t lanes = net->backend.simd->lanes;
    *g = (mn__depthwise){.input = in->data,
                         .batch = net->batch,
                         .blocks = in->lanes / lanes,
                         .in_h = in->shape.h,
                         .in_w = in->shape.w,
                         .out_h = out->shape.h,
                         .out_w = out->shape.w,
                         .kernel = w->kernel_h,
                         .stride = w->stride_h,
                         .pad_top = w->pad_top,
                         .pad_left = w->pad_left,
                         .threads = net->threads};
    status = mn__network_alloc(
        net, mn__depthwise_scratch(g, lanes), net->threads * sizeof(float), &scratch, err);
    g->scratch = scratch;
    conv->own_gradient = g;
    if (status == MN_OK)
        status = mn__dnnl(dnnl_memory_desc_init_by_tag(
                              ret_desc, 5, c->filter, dnnl_f32, net->backend.blocked_filters),
                          "filter layout",
                          err);
    return status;
}

static void run_own(const void *context)
{
    const mn__conv *conv = context;
    conv->simd->depthwise_weight_gradient(conv->own_gradient);
}

/* ---- both --------------------------------------------------------------------------------------
 */

mn_status mn__conv_build_weight_gradient(mn__network *net,
                                         uint32_t n,
                                         const mn_window *window,
                                         const mn__conv_shape *c,
                                         const mn__value *in,
                                         const mn__value *out,
                                         dnnl_primitive_desc_t forward,
                                         mn__conv *conv,
                                         dnnl_memory_desc_t *ret_desc,
                                         mn_error *err)
{
    bool slow = false;
    mn_status status = MN_OK;
    if (is_ours(window, c))
        return build_own(net, window, c, in, out, conv, ret_desc, err);
    /* Phases are cut from blocked values; a source that is read plainly has another layout. */
    if (c->filter_rank == 4 && has_phases(window) && conv->source == in->memory)
        status = falls_to_reference(net, c, forward, &slow, err);
    if (status != MN_OK)
        return status;
    return slow ? build_phases(net, n, window, c, in, out, conv, ret_desc, err)
                : build_primitive(net, n, c, forward, conv, ret_desc, err);
}

/* Each step needs its own gradient address, which is known only now. */
mn_status mn__conv_add_weight_gradient(mn__network *net,
                                       mn__conv *conv,
                                       const mn__gradient *out_gradient,
                                       mn_error *err)
{
    const mn__parameter *weight = &net->parameters[conv->weight];
    mn__phases *phases = conv->phases;
    mn_status status = MN_OK;
    if (conv->own_gradient != NULL) {
        conv->own_gradient->out_gradient = out_gradient->data;
        conv->own_gradient->weight_gradient = weight->gradient;
        return mn__program_function(&net->backward, run_own, conv, err);
    }
    if (phases != NULL) {
        phases->gradient.from = out_gradient->data;
        status = mn__program_function(&net->backward, run_split, &phases->source, err);
        if (status == MN_OK)
            status = mn__program_function(&net->backward, run_split, &phases->gradient, err);
        if (status != MN_OK)
            return status;
    }
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, phases == NULL ? conv->source : phases->source_memory},
        {DNNL_ARG_DIFF_DST, phases == NULL ? out_gradient->memory : phases->gradient_memory},
        {DNNL_ARG_DIFF_WEIGHTS, weight->gradient_memory},
        {DNNL_ARG_DIFF_BIAS,
         conv->bias == MN_NONE ? NULL : net->parameters[conv->bias].gradient_memory}};
    return mn__program_primitive(
        &net->backward, conv->backward_weights, args, conv->bias == MN_NONE ? 3 : 4, err);
}
