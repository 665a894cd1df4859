/*
 * The images of rung 0. See rung_images.h.
 */
#include "search/rung_images.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "search/pace.h"
#include "search/rungs.h"
#include "search/work.h"

static const char rungs_event[] = "rungs";

/* A network improves by a move a round: so many rounds are wanted, if need be with fewer images.
 * Fewer than the least tell nothing. */
enum { wanted_rounds = 8, least_images = 2000 };

/* Images of the training that shows how fast this machine is. */
enum { probe_images = 1000 };

/* How a rung's runs are trained, beside the study's options. */
static mn_status put_rung(mn__session *session, uint32_t rung, mn_error *err)
{
    uint32_t epochs = 0;
    uint32_t images = 0;
    mn__rung_size(session, rung, &epochs, &images);
    json_t *object =
        json_pack("{s:I, s:I}", "epochs", (json_int_t)epochs, "images", (json_int_t)images);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_status status = mn_study_put_rung(session->study, rung, text, err);
    free(text);
    return status;
}

static mn_status settle(mn__session *session, uint32_t images, double effort_ms, mn_error *err)
{
    mn_status status = MN_OK;
    session->rung_images = images;
    session->effort_ms = effort_ms;
    for (uint32_t rung = 0; rung <= mn__rung_last(session) && status == MN_OK; rung++)
        status = put_rung(session, rung, err);
    return status;
}

mn_status mn__rung_images_recall(mn__session *session, mn_error *err)
{
    char *detail = NULL;
    json_t *object = NULL;
    int64_t images = 0;
    double effort_ms = 0.0;
    if (session->opts->time_ms == 0)
        return settle(session, session->opts->rung_images, 0.0, err);
    mn_status status = mn_study_get_event(session->study, rungs_event, 0, &detail, err);
    session->rung_images = 0;
    if (status != MN_OK || detail == NULL)
        return status;
    status = mn_json_parse(rungs_event, detail, strlen(detail), 1 << 20, &object, err);
    if (status == MN_OK)
        status =
            mn_json_get_integer(object, rungs_event, "images", 1, UINT32_MAX - 1, &images, err);
    /* Studies of earlier versions do not know it. */
    if (status == MN_OK && json_object_get(object, "effort_ms") != NULL)
        status = mn_json_get_number(object, rungs_event, "effort_ms", &effort_ms, err);
    json_decref(object);
    free(detail);
    return status == MN_OK ? settle(session, (uint32_t)images, effort_ms, err) : status;
}

/* What is chosen: how much there is of it, and a network that is trained to see how long it takes.
 */
typedef struct chosen {
    const mn__entry *sample; /* the first one */
    uint32_t count;
    double effort; /* mean */
} chosen;

static chosen look_at(const mn__pool *pool)
{
    chosen c = {0};
    for (uint32_t i = 0; i < pool->count; i++) {
        const mn__entry *entry = &pool->entries[i];
        if (!entry->chosen)
            continue;
        c.sample = c.sample == NULL ? entry : c.sample;
        c.effort += entry->needs.effort;
        c.count++;
    }
    c.effort /= c.count > 0 ? c.count : 1;
    return c;
}

/* Milliseconds of training on an image, per effort; 0 when the training failed. */
static mn_status measure(mn__session *session, const chosen *c, double *ret_ms, mn_error *err)
{
    int64_t ms = 0;
    mn__training t = {.genotype = &c->sample->candidate->genotype,
                      .train = &session->rung,
                      .epochs = 1,
                      .images = probe_images};
    memcpy(t.key.genotype_id, c->sample->id, sizeof t.key.genotype_id);
    mn_status status = mn__session_probe(session, &t, &ms, err);
    if (status == MN_OK)
        *ret_ms = ms == INT64_MAX ? 0.0
                                  : (double)ms / mn__training_work(session, probe_images, 1) /
                                        c->sample->needs.effort;
    return status;
}

/* Of a round of so many networks whose rung 0 has so many images. */
static double
round_ms(const mn__session *session, uint32_t networks, uint32_t first_images, double image_ms)
{
    double work = 0.0;
    for (uint32_t rung = 0; rung <= mn__rung_last(session); rung++) {
        uint32_t epochs = 0;
        uint32_t images = 0;
        uint32_t turns = (networks + session->opts->jobs - 1) / session->opts->jobs;
        mn__rung_size_from(session, first_images, rung, &epochs, &images);
        work += turns * mn__training_work(session, images, epochs);
        networks = mn__rung_keeps(networks);
    }
    return work * image_ms;
}

/* As many images as the options say, or fewer, so that the rounds fit: the least where it is not
 * known how long they take. */
static uint32_t affordable(const mn__session *session, uint32_t networks, double image_ms)
{
    double wanted_ms =
        (double)mn__pace_search_ms(session) / session->opts->bound_count / wanted_rounds;
    uint32_t most = session->opts->rung_images;
    uint32_t least = most < least_images ? most : least_images;
    while (image_ms > 0.0 && least < most) { /* `least` is affordable, or the least there is */
        uint32_t middle = least + (most - least + 1) / 2;
        if (round_ms(session, networks, middle, image_ms) <= wanted_ms)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

/* In the study numbers are as they are in memory: what follows from them does not depend on who
 * decided. */
static mn_status
put_decision(mn__session *session, uint32_t images, double effort_ms, mn_error *err)
{
    json_t *object = json_pack("{s:I, s:f}", "images", (json_int_t)images, "effort_ms", effort_ms);
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    mn_status status = mn_study_put_event(session->study, rungs_event, 0, text, err);
    free(text);
    return status;
}

mn_status mn__rung_images_decide(mn__session *session, const mn__pool *pool, mn_error *err)
{
    double effort_ms = 0.0;
    chosen c = look_at(pool);
    if (session->rung_images != 0 || c.count == 0)
        return MN_OK;
    mn_status status = measure(session, &c, &effort_ms, err);
    if (status != MN_OK)
        return status;
    uint32_t images = affordable(session, c.count, effort_ms * c.effort);
    status = put_decision(session, images, effort_ms, err);
    return status == MN_OK ? settle(session, images, effort_ms, err) : status;
}
