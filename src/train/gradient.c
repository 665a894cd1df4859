/*
 * Gradients while the backward program is built: each value has at most one, the sum of what its
 * readers have contributed so far. Who contributes next writes the sum in place where nobody else
 * holds that memory, else into a buffer of its own.
 */
#include "train/network.h"

static mn_status create(mn__network *net, mn__gradient **ret, mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(mn__gradient), &block, err);
    if (status != MN_OK)
        return status;
    *ret = block;
    **ret = (mn__gradient){.references = 1, .ready = MN_NONE};
    return MN_OK;
}

static mn_status
create_stored(mn__network *net, const mn__value *value, mn__gradient **ret, mn_error *err)
{
    mn__gradient *gradient = NULL;
    size_t elements = mn__value_elements(value);
    mn_status status = create(net, &gradient, err);
    if (status == MN_OK)
        status = mn__buffer_create(net,
                                   elements * net->opts.batch * net->opts.simd->element_bytes,
                                   &gradient->storage.buffer,
                                   err);
    if (status != MN_OK)
        return status;
    gradient->storage.image_stride = elements;
    *ret = gradient;
    return MN_OK;
}

void mn__gradient_release(mn__gradient *gradient)
{
    gradient->references--;
    if (gradient->references > 0 || gradient->base == NULL)
        return;
    if (gradient->through == NULL)
        gradient->base->slices--;
    mn__gradient_release(gradient->base);
}

/* May be overwritten: stored, and nobody else will read that memory. A slice's base is referred to
 * by its slices only, once the concat is done with it; those of one concat are disjoint. */
static bool writable(const mn__gradient *gradient)
{
    bool alone = gradient->through == NULL && gradient->references == 1;
    for (const mn__gradient *base = gradient->base; base != NULL && alone; base = base->base)
        alone = base->references == base->slices && !base->overlaps;
    return alone;
}

typedef struct store_state {
    const mn__network *net;
    const mn__gradient *from;
    mn__target target;
    const mn__value *value;
} store_state;

static void store_image(const void *context, const mn__worker *worker, uint32_t image)
{
    const store_state *s = context;
    mn__maps addend;
    mn__slope slope = mn__slope_of(s->net, s->from, s->value);
    mn__maps out = mn__maps_at(s->net, &s->target.out->storage, s->value);
    bool adds = mn__addend_of(s->net, &s->target, s->value, &addend);
    (void)worker;
    s->net->opts.simd->store_slope(&slope, adds ? &addend : NULL, &out, image);
}

/* Adds a step that stores `from` + target.addend in target.out. */
static mn_status add_store(mn__network *net,
                           const mn__gradient *from,
                           mn__target target,
                           const mn__value *value,
                           mn_error *err)
{
    void *block = NULL;
    mn_status status = mn__network_alloc(net, 1, sizeof(store_state), &block, err);
    if (status != MN_OK)
        return status;
    store_state *s = block;
    *s = (store_state){.net = net, .from = from, .target = target, .value = value};
    mn__uses_gradient(net, from);
    mn__uses_gradient(net, target.out);
    if (target.addend != NULL)
        mn__uses_gradient(net, target.addend);
    double elements = (double)mn__value_elements(value);
    mn__step step = {.node = MN_NONE,
                     .image = store_image,
                     .context = s,
                     .work = {.kind = "gradient sum",
                              .flops = elements,
                              .bytes = 3.0 * elements * net->opts.simd->element_bytes}};
    return mn__program_add(net, &net->backward, &step, err);
}

mn_status mn__gradient_store(mn__network *net, mn__value *value, mn_error *err)
{
    mn__target target = {0};
    mn__gradient *slope = value->gradient;
    if (slope == NULL || slope->through == NULL)
        return MN_OK;
    mn_status status = create_stored(net, value, &target.out, err);
    if (status == MN_OK)
        status = add_store(net, slope, target, value, err);
    if (status != MN_OK)
        return status;
    mn__gradient_release(slope);
    value->gradient = target.out;
    return MN_OK;
}

mn_status
mn__gradient_target(mn__network *net, mn__value *value, mn__target *ret_target, mn_error *err)
{
    mn__target target = {0};
    mn_status status = mn__gradient_store(net, value, err);
    if (status != MN_OK)
        return status;
    target.addend = value->gradient;
    if (target.addend != NULL && writable(target.addend)) {
        target.out = target.addend;
    } else {
        status = create_stored(net, value, &target.out, err);
        if (status != MN_OK)
            return status;
        if (target.addend != NULL)
            mn__gradient_release(target.addend);
    }
    value->gradient = target.out;
    mn__uses_gradient(net, target.out);
    if (target.addend != NULL)
        mn__uses_gradient(net, target.addend);
    *ret_target = target;
    return MN_OK;
}

mn_status
mn__gradient_give(mn__network *net, mn__value *value, mn__gradient *gradient, mn_error *err)
{
    mn__target target;
    if (value->gradient == NULL) {
        gradient->references++;
        value->gradient = gradient;
        return MN_OK;
    }
    mn_status status = mn__gradient_target(net, value, &target, err);
    return status == MN_OK ? add_store(net, gradient, target, value, err) : status;
}

/* Clamps of one number may come in any order. */
static bool same_but_clamp(const mn__gradient *slope, const mn__value *through)
{
    return slope->through != NULL && slope->a == NULL &&
           slope->through->storage == through->storage && slope->through->scale == through->scale &&
           slope->through->shift == through->shift;
}

mn_status mn__slope_create(mn__network *net,
                           mn__value *value,
                           const mn__value *through,
                           mn__gradient **ret_slope,
                           mn_error *err)
{
    mn__gradient *slope = NULL;
    mn_status status = MN_OK;
    float low = through->low;
    float high = through->high;
    const bool merges = same_but_clamp(value->gradient, through);
    if (merges) {
        low = value->gradient->low > low ? value->gradient->low : low;
        high = value->gradient->high < high ? value->gradient->high : high;
    } else {
        status = mn__gradient_store(net, value, err);
    }
    if (status == MN_OK)
        status = create(net, &slope, err);
    if (status != MN_OK)
        return status;
    mn__gradient *dz = merges ? value->gradient->base : value->gradient;
    slope->storage = (mn__storage){.whole = &dz->storage};
    slope->base = dz;
    slope->through = through;
    slope->low = low;
    slope->high = high;
    dz->references++;
    *ret_slope = slope;
    return MN_OK;
}

mn_status mn__slice_create(
    mn__network *net, mn__gradient *whole, size_t offset, mn__gradient **ret_slice, mn_error *err)
{
    mn__gradient *slice = NULL;
    mn_status status = create(net, &slice, err);
    if (status != MN_OK)
        return status;
    slice->storage = (mn__storage){.whole = &whole->storage, .offset = offset};
    slice->base = whole;
    whole->references++;
    whole->slices++;
    *ret_slice = slice;
    return MN_OK;
}

mn__slope mn__slope_of(const mn__network *net, const mn__gradient *gradient, const mn__value *like)
{
    mn__slope slope = {.dz = mn__maps_at(net, &gradient->storage, like),
                       .through = gradient->through != NULL,
                       .a = gradient->a,
                       .b = gradient->b,
                       .c = gradient->c};
    if (slope.through) {
        slope.view = mn__view_of(net, gradient->through);
        slope.view.low = gradient->low;
        slope.view.high = gradient->high;
    }
    return slope;
}

bool mn__addend_of(const mn__network *net,
                   const mn__target *target,
                   const mn__value *like,
                   mn__maps *ret_maps)
{
    if (target->addend == NULL)
        return false;
    *ret_maps = mn__maps_at(net, &target->addend->storage, like);
    return true;
}
