/*
 * Batches, made one step ahead of the trainer by one helper thread.
 *
 * A ring of three buffers: the trainer holds one, the helper fills one, one is ready. The mutex
 * guards the counters only; a buffer belongs to the helper from `released` on up to `made`, to the
 * trainer below that, so pixels are never touched under it.
 * Invariant: what is in batch k of epoch e depends on (options, e, k) only: every image and
 * every batch draws from a random stream of its own, so that timing and thread cannot show.
 */
#include "memnet/batches.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "base/size.h"
#include "data/augment.h"

enum { ring_count = 3, batch_align = 64 };

/* Keep these streams apart from each other and from others that start from the same seed. */
static const uint64_t order_stream = 0x6f72646572;       /* "order" */
static const uint64_t augment_stream = 0x6175676d656e74; /* "augment" */
static const uint64_t mixup_stream = 0x6d69787570;       /* "mixup" */

/* One buffer of the ring. */
typedef struct slot {
    uint32_t count;
    float *images;          /* (batch,C,H,W) */
    uint16_t *labels;       /* (batch) */
    uint16_t *other_labels; /* (batch) NULL without mixup */
    float lambda;
    uint32_t *index; /* (batch) */
} slot;

struct mn_batches {
    mn_batches_opts opts;
    uint32_t image_count; /* in one epoch before the last batch is dropped */
    uint32_t per_epoch;
    size_t elements;       /* of one image */
    uint32_t *order;       /* (image_count): which image comes at which position */
    slot ring[ring_count]; /* batch k of an epoch is in ring[k % ring_count] */
    double wait_ms;        /* the trainer's own */

    pthread_t helper;
    bool started; /* helper, lock and conditions exist */
    pthread_mutex_t lock;
    pthread_cond_t work;  /* the helper may have something to do */
    pthread_cond_t ready; /* a batch was made, or the helper is idle */
    /* Under the lock; the numbers are of batches of the running epoch. */
    uint64_t epoch;
    uint32_t wanted;   /* per_epoch, or 0 while no epoch runs */
    uint32_t made;     /* batches that are ready or were */
    uint32_t taken;    /* of these, handed to the trainer */
    uint32_t released; /* of these, given back */
    bool filling;
    bool stop;
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* ---- the helper ---------------------------------------------------------------------------- */

/* Mixes image i with image n-1-i, both at once; one in the middle stays. */
static void mix(const mn_batches *b, uint64_t epoch, uint32_t batch, slot *s)
{
    const uint64_t seed = mn_random_mix(mn_random_mix(b->opts.seed, mixup_stream), epoch);
    mn_random random = mn_random_make(seed, batch);
    s->lambda = (float)mn_random_beta(&random, (double)b->opts.augmentation.mixup);
    for (uint32_t i = 0; i < s->count; i++)
        s->other_labels[i] = s->labels[s->count - 1 - i];
    for (uint32_t i = 0; i < s->count / 2; i++)
        mn__mix(s->lambda,
                b->elements,
                s->images + i * b->elements,
                s->images + (s->count - 1 - i) * b->elements);
}

static void fill(const mn_batches *b, uint64_t epoch, uint32_t batch, slot *s)
{
    const mn_batches_opts *opts = &b->opts;
    const mn_dataset *dataset = opts->dataset;
    const uint64_t seed = mn_random_mix(mn_random_mix(opts->seed, augment_stream), epoch);
    const size_t image_bytes =
        b->elements * (dataset->pixel_type == MN_PIXEL_F32 ? sizeof(float) : sizeof(uint8_t));
    const size_t first = (size_t)batch * opts->batch;
    size_t left = b->image_count - first;
    s->count = left < opts->batch ? (uint32_t)left : opts->batch;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t image = b->order[first + i];
        mn_random random = mn_random_make(seed, first + i);
        mn__change change = mn__change_draw(&opts->augmentation, dataset->shape, &random);
        if (opts->augmentation.flip == MN_FLIP_ALTERNATING)
            change.flip = mn__flip_alternates(opts->seed, epoch, image);
        mn__picture picture = {
            .shape = dataset->shape,
            .type = dataset->pixel_type,
            .preprocessing = opts->preprocessing,
            .pixels = (const char *)opts->images->pixels + image * image_bytes,
        };
        mn__change_apply(&change, &picture, s->images + i * b->elements);
        s->labels[i] = opts->images->labels[image];
        s->index[i] = image;
    }
    memset(s->images + s->count * b->elements,
           0,
           (opts->batch - s->count) * b->elements * sizeof *s->images);
    s->lambda = 1.0f;
    if (s->other_labels != NULL)
        mix(b, epoch, batch, s);
}

static void *help(void *argument)
{
    mn_batches *b = argument;
    pthread_mutex_lock(&b->lock);
    while (!b->stop) {
        if (b->made >= b->wanted || b->made - b->released == ring_count) {
            pthread_cond_wait(&b->work, &b->lock);
            continue;
        }
        uint32_t batch = b->made;
        uint64_t epoch = b->epoch;
        b->filling = true;
        pthread_mutex_unlock(&b->lock);
        fill(b, epoch, batch, &b->ring[batch % ring_count]);
        pthread_mutex_lock(&b->lock);
        b->filling = false;
        b->made = batch + 1;
        pthread_cond_signal(&b->ready);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* Signals stay with the threads of the program: the helper takes none. */
static mn_status start_helper(mn_batches *b, mn_error *err)
{
    sigset_t all, before;
    pthread_mutex_init(&b->lock, NULL); /* cannot fail with default attributes (glibc, musl) */
    pthread_cond_init(&b->work, NULL);
    pthread_cond_init(&b->ready, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&b->helper, NULL, help, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) {
        b->started = true;
        return MN_OK;
    }
    pthread_cond_destroy(&b->ready);
    pthread_cond_destroy(&b->work);
    pthread_mutex_destroy(&b->lock);
    return mn_error_set(err, MN_ERR_NOMEM, "batches: no helper thread: %s", strerror(code));
}

static void stop_helper(mn_batches *b)
{
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->helper, NULL);
    pthread_cond_destroy(&b->ready);
    pthread_cond_destroy(&b->work);
    pthread_mutex_destroy(&b->lock);
}

/* ---- creation ------------------------------------------------------------------------------ */

static mn_status check_opts(const mn_batches_opts *opts, mn_error *err)
{
    const mn_shape *shape = &opts->dataset->shape;
    mn_status status = mn__augmentation_check(&opts->augmentation, err);
    if (status != MN_OK)
        return mn_error_prefix(err, status, "batches");
    if (opts->batch == 0)
        return mn_error_set(err, MN_ERR_ARG, "batches: batch 0, expected at least 1");
    if (shape->h > MN__SIDE_MAX || shape->w > MN__SIDE_MAX)
        return mn_error_set(err,
                            MN_ERR_LIMIT,
                            "batches: images of %" PRIu32 "x%" PRIu32 ", expected sides up to %u",
                            shape->h,
                            shape->w,
                            MN__SIDE_MAX);
    for (uint32_t i = 0; opts->indices != NULL && i < opts->index_count; i++) {
        if (opts->indices[i] >= opts->images->count)
            return mn_error_set(err,
                                MN_ERR_ARG,
                                "batches: index %" PRIu32 " is %" PRIu32
                                ", out of range [0,%" PRIu32 ")",
                                i,
                                opts->indices[i],
                                opts->images->count);
    }
    return MN_OK;
}

static mn_status allocate(mn_batches *b, mn_error *err)
{
    uint32_t batch = b->opts.batch;
    size_t bytes;
    bool fits = mn_size_mul(b->elements, batch, &bytes) &&
                mn_size_mul(bytes, sizeof(float), &bytes) &&
                mn_size_round_up(bytes, batch_align, &bytes);
    b->order = mn_calloc(b->image_count, sizeof *b->order);
    bool complete = fits && b->order != NULL;
    for (int i = 0; i < ring_count && complete; i++) {
        slot *s = &b->ring[i];
        s->images = aligned_alloc(batch_align, bytes);
        s->labels = mn_calloc(batch, sizeof *s->labels);
        s->index = mn_calloc(batch, sizeof *s->index);
        complete = s->images != NULL && s->labels != NULL && s->index != NULL;
        if (complete && b->opts.augmentation.mixup > 0.0f) {
            s->other_labels = mn_calloc(batch, sizeof *s->other_labels);
            complete = s->other_labels != NULL;
        }
    }
    if (!complete)
        return mn_error_set(err,
                            MN_ERR_NOMEM,
                            "batches: no memory for %d buffers of %" PRIu32
                            " images of %zu elements",
                            ring_count,
                            batch,
                            b->elements);
    return MN_OK;
}

mn_status mn_batches_create(const mn_batches_opts *opts, mn_batches **ret_batches, mn_error *err)
{
    mn_status status = check_opts(opts, err);
    if (status != MN_OK)
        return status;
    const mn_shape *shape = &opts->dataset->shape;
    mn_batches *b = mn_calloc(1, sizeof *b);
    if (b == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "batches: out of memory");
    b->opts = *opts;
    b->elements = (size_t)shape->h * shape->w * shape->c; /* in memory already, so it fits */
    b->image_count = opts->indices != NULL ? opts->index_count : opts->images->count;
    b->per_epoch = b->image_count / opts->batch;
    bool short_batch = b->image_count % opts->batch != 0;
    if (short_batch && (!opts->shuffle || b->per_epoch == 0))
        b->per_epoch++;
    status = allocate(b, err);
    if (status == MN_OK)
        status = start_helper(b, err);
    if (status != MN_OK) {
        mn_batches_free(b);
        return status;
    }
    *ret_batches = b;
    return MN_OK;
}

void mn_batches_free(mn_batches *batches)
{
    if (batches == NULL)
        return;
    if (batches->started)
        stop_helper(batches);
    for (int i = 0; i < ring_count; i++) {
        free(batches->ring[i].index);
        free(batches->ring[i].other_labels);
        free(batches->ring[i].labels);
        free(batches->ring[i].images);
    }
    free(batches->order);
    free(batches);
}

/* ---- the trainer's side -------------------------------------------------------------------- */

uint32_t mn_batches_per_epoch(const mn_batches *batches)
{
    return batches->per_epoch;
}

/* Only while the helper is idle. Starts from the same order each time, so that an epoch does not
 * depend on those before it. */
static void make_order(mn_batches *b, uint64_t epoch)
{
    for (uint32_t i = 0; i < b->image_count; i++)
        b->order[i] = b->opts.indices != NULL ? b->opts.indices[i] : i;
    if (!b->opts.shuffle)
        return;
    mn_random random = mn_random_make(mn_random_mix(b->opts.seed, order_stream), epoch);
    mn_random_shuffle(&random, b->order, b->image_count);
}

void mn_batches_begin(mn_batches *batches, uint64_t epoch)
{
    pthread_mutex_lock(&batches->lock);
    batches->wanted = 0;
    while (batches->filling)
        pthread_cond_wait(&batches->ready, &batches->lock);
    make_order(batches, epoch);
    batches->epoch = epoch;
    batches->made = 0;
    batches->taken = 0;
    batches->released = 0;
    batches->wanted = batches->per_epoch;
    pthread_cond_signal(&batches->work);
    pthread_mutex_unlock(&batches->lock);
}

bool mn_batches_next(mn_batches *batches, mn_batch *ret_batch)
{
    pthread_mutex_lock(&batches->lock);
    batches->released = batches->taken;
    pthread_cond_signal(&batches->work);
    bool more = batches->taken < batches->wanted;
    if (more && batches->made == batches->taken) {
        double start = now_ms();
        while (batches->made == batches->taken)
            pthread_cond_wait(&batches->ready, &batches->lock);
        batches->wait_ms += now_ms() - start;
    }
    const slot *s = &batches->ring[batches->taken % ring_count];
    if (more)
        batches->taken++;
    pthread_mutex_unlock(&batches->lock);
    if (more)
        *ret_batch = (mn_batch){
            .count = s->count,
            .images = s->images,
            .labels = s->labels,
            .other_labels = s->other_labels,
            .lambda = s->lambda,
            .index = s->index,
        };
    return more;
}

size_t mn_batches_bytes(const mn_batches *batches)
{
    size_t image = batches->elements * sizeof(float) + sizeof(uint16_t) + sizeof(uint32_t);
    return ring_count * image * batches->opts.batch; /* in memory already, so it fits */
}

double mn_batches_wait_ms(const mn_batches *batches)
{
    return batches->wait_ms;
}
