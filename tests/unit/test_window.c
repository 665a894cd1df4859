/*
 * The geometry of sliding windows against its definition: tap (ky,kx) joins input pixel
 * (oy * stride + ky * dilation - pad, ...) with output pixel (oy,ox). The forward sweep and the
 * phases of the backward sweep must each reach exactly these triples, each once, and nothing
 * outside of their padded images.
 */
#include "test.h"

#include "base/random.h"
#include "train/window.h"

enum { cases = 8000 };

typedef struct geometry {
    mn_window window;
    mn_shape in, out;
    uint32_t lanes, taps, in_pixels, out_pixels;
    uint8_t *reached; /* (in pixels,taps,out pixels): how often */
} geometry;

static uint32_t between(mn_random *random, uint32_t low, uint32_t high)
{
    return low + mn_random_below(random, high - low + 1);
}

static uint32_t
side(uint32_t in, uint32_t kernel, uint32_t dilation, uint32_t padding, uint32_t stride)
{
    uint32_t reach = (kernel - 1) * dilation + 1;
    return in + padding < reach ? 0 : (in + padding - reach) / stride + 1;
}

/* Paddings may be larger than the kernel: graphs allow that of a convolution. */
static geometry draw(mn_random *random)
{
    geometry g = {.lanes = mn_random_below(random, 2) == 0 ? 8 : 16};
    const uint32_t most_padding = mn_random_below(random, 3) == 0 ? 0 : 4;
    do {
        mn_window *w = &g.window;
        *w = (mn_window){.kernel_h = between(random, 1, 5),
                         .kernel_w = between(random, 1, 5),
                         .stride_h = between(random, 1, 4),
                         .stride_w = between(random, 1, 4),
                         .dilation_h = between(random, 1, 3),
                         .dilation_w = between(random, 1, 3),
                         .pad_top = between(random, 0, most_padding),
                         .pad_left = between(random, 0, most_padding),
                         .pad_bottom = between(random, 0, most_padding),
                         .pad_right = between(random, 0, most_padding)};
        g.in = (mn_shape){between(random, 1, 9), between(random, 1, 9), 1};
        g.out.h = side(g.in.h, w->kernel_h, w->dilation_h, w->pad_top + w->pad_bottom, w->stride_h);
        g.out.w = side(g.in.w, w->kernel_w, w->dilation_w, w->pad_left + w->pad_right, w->stride_w);
    } while (g.out.h == 0 || g.out.w == 0);
    g.out.c = 1;
    g.taps = g.window.kernel_h * g.window.kernel_w;
    g.in_pixels = g.in.h * g.in.w;
    g.out_pixels = g.out.h * g.out.w;
    g.reached = calloc((size_t)g.in_pixels * g.taps * g.out_pixels, 1);
    assert_non_null(g.reached);
    return g;
}

static void reach(geometry *g, uint32_t in, uint32_t tap, uint32_t out)
{
    assert_true(in < g->in_pixels && tap < g->taps && out < g->out_pixels);
    g->reached[((size_t)in * g->taps + tap) * g->out_pixels + out]++;
}

/* The sweep reached the triples of the definition, once each; forgets them. */
static void check_reached(geometry *g)
{
    const mn_window *w = &g->window;
    for (uint32_t in = 0; in < g->in_pixels; in++)
        for (uint32_t tap = 0; tap < g->taps; tap++)
            for (uint32_t out = 0; out < g->out_pixels; out++) {
                uint32_t y = out / g->out.w * w->stride_h + tap / w->kernel_w * w->dilation_h;
                uint32_t x = out % g->out.w * w->stride_w + tap % w->kernel_w * w->dilation_w;
                bool joined = y == in / g->in.w + w->pad_top && x == in % g->in.w + w->pad_left;
                uint8_t *count = &g->reached[((size_t)in * g->taps + tap) * g->out_pixels + out];
                if (*count != joined)
                    fail_msg("input %u, tap %u, output %u: reached %u times, expected %d",
                             in,
                             tap,
                             out,
                             *count,
                             joined);
                *count = 0;
            }
}

/* Pixel number of an offset in elements: no sweep goes between pixels. */
static size_t pixel_of(const geometry *g, size_t offset)
{
    assert_int_equal(offset % g->lanes, 0);
    return offset / g->lanes;
}

/* Calls `visit` for every (padded pixel, tap, output of the sweep's block). */
static void run_sweep(geometry *g,
                      const mn__sliding *s,
                      const mn__sweep *sweep,
                      void (*visit)(geometry *, const mn__sliding *, size_t, uint32_t, size_t))
{
    for (uint32_t y = 0; y < sweep->rows; y++)
        for (uint32_t x = 0; x < sweep->columns; x++)
            for (uint32_t t = 0; t < sweep->taps.count; t++)
                visit(g,
                      s,
                      pixel_of(g, y * sweep->in_row + x * sweep->in_step + sweep->taps.offset[t]),
                      sweep->taps.index[t],
                      pixel_of(g, sweep->out_first + y * sweep->out_row + x * sweep->out_step));
}

static void
visit_forward(geometry *g, const mn__sliding *s, size_t padded, uint32_t tap, size_t out)
{
    assert_true(padded * g->lanes < s->plane);
    int64_t y = (int64_t)(padded / s->pad.columns) + s->pad.first_row;
    int64_t x = (int64_t)(padded % s->pad.columns) - s->pad.left;
    if (y >= 0 && y < g->in.h && x >= 0 && x < g->in.w)
        reach(g, (uint32_t)y * g->in.w + (uint32_t)x, tap, (uint32_t)out);
}

static void
visit_backward(geometry *g, const mn__sliding *s, size_t padded, uint32_t tap, size_t in)
{
    const mn__pad *pad = &s->gradient_pad;
    assert_true(padded * g->lanes < s->gradient_plane);
    int64_t y = (int64_t)(padded / pad->columns) + pad->first_row;
    int64_t x = (int64_t)(padded % pad->columns) - pad->left;
    if (y >= 0 && y < g->out.h && x >= 0 && x < g->out.w)
        reach(g, (uint32_t)in, tap, (uint32_t)y * g->out.w + (uint32_t)x);
}

/* Every pixel of a block is written by one sweep, once; also those that no tap reaches. */
static void check_written(const geometry *g, const mn__sweep *sweeps, uint32_t count, uint32_t size)
{
    uint8_t *written = calloc(size, 1);
    assert_non_null(written);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t y = 0; y < sweeps[i].rows; y++)
            for (uint32_t x = 0; x < sweeps[i].columns; x++) {
                size_t at = pixel_of(
                    g, sweeps[i].out_first + y * sweeps[i].out_row + x * sweeps[i].out_step);
                assert_true(at < size);
                written[at]++;
            }
    for (uint32_t i = 0; i < size; i++)
        assert_int_equal(written[i], 1);
    free(written);
}

static void check_forward(geometry *g, const mn__sliding *s)
{
    const mn_window *w = &g->window;
    const bool border = w->pad_top != 0 || w->pad_left != 0;
    assert_int_equal(s->stride_h, w->stride_h);
    assert_int_equal(s->plane, (size_t)s->pad.rows * s->pad.columns * g->lanes);
    assert_true(s->pad.left <= s->pad.columns);
    assert_int_equal(s->forward.taps.count, g->taps);
    assert_int_equal(s->exact, !border && s->pad.rows == g->in.h && s->pad.columns == g->in.w);
    run_sweep(g, s, &s->forward, visit_forward);
    check_reached(g);
    check_written(g, &s->forward, 1, g->out_pixels);
}

/* The padded gradient: where the gradient itself lies in it. */
static void check_gradient(const geometry *g, const mn__sliding *s)
{
    const mn__pad *pad = &s->gradient_pad;
    assert_true(pad->first_row <= 0);
    assert_true(pad->rows >= g->out.h + (uint32_t)-pad->first_row);
    assert_true(pad->columns >= g->out.w + pad->left);
    assert_int_equal(s->gradient_row, (size_t)pad->columns * g->lanes);
    assert_int_equal(s->gradient_plane, pad->rows * s->gradient_row);
    assert_int_equal(s->gradient_first,
                     (size_t)-pad->first_row * s->gradient_row + (size_t)pad->left * g->lanes);
}

static mn__sliding *create(const geometry *g, mn__network *net, bool backward)
{
    mn_error err;
    mn__sliding *s = NULL;
    mn_arena_reset(net->arena);
    net->lanes = g->lanes;
    assert_ok(mn__sliding_create(net, &g->window, g->in, g->out, backward, &s, &err), &err);
    return s;
}

static void test_against_definition(void **state)
{
    (void)state;
    mn_error err;
    mn__network net = {0}; /* lanes and an arena are all that a geometry asks for */
    mn_random random = mn_random_make(23, 1);
    uint32_t exact = 0;
    assert_ok(mn_arena_create(&net.arena, &err), &err);
    for (uint32_t i = 0; i < cases; i++) {
        geometry g = draw(&random);
        const mn__sliding *s = create(&g, &net, true);
        check_forward(&g, s);
        check_gradient(&g, s);
        for (uint32_t p = 0; p < s->phase_count; p++)
            run_sweep(&g, s, &s->phases[p], visit_backward);
        check_reached(&g);
        check_written(&g, s->phases, s->phase_count, g.in_pixels);
        exact += s->exact;
        free(g.reached);
    }
    assert_true(exact > cases / 50);
    mn_arena_free(net.arena);
}

/* An input without a gradient: the gradient of the output is not padded. */
static void test_without_backward(void **state)
{
    (void)state;
    mn_error err;
    mn__network net = {0};
    mn_random random = mn_random_make(23, 2);
    assert_ok(mn_arena_create(&net.arena, &err), &err);
    for (uint32_t i = 0; i < cases / 10; i++) {
        geometry g = draw(&random);
        const mn__sliding *s = create(&g, &net, false);
        check_forward(&g, s);
        assert_int_equal(s->phase_count, 0);
        assert_int_equal(s->gradient_first, 0);
        assert_int_equal(s->gradient_pad.first_row, 0);
        assert_int_equal(s->gradient_pad.left, 0);
        assert_int_equal(s->gradient_pad.rows, g.out.h);
        assert_int_equal(s->gradient_pad.columns, g.out.w);
        check_gradient(&g, s);
        free(g.reached);
    }
    mn_arena_free(net.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_without_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
