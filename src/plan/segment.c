/*
 * Cuts a graph into segments and finds, by one walk each way, what descends from what.
 */
#include "plan/segment.h"

#include <stdlib.h>

#include "base/size.h"

/* Sets for all pairs of a larger segment would take too much memory and time. */
static const uint32_t most_nodes_for_sets = 4096;

/* The last node that reads a value; beyond all nodes for outputs, and for values that nobody reads,
 * which may be made at any time. */
static uint32_t last_reader(const mn__values *v, uint32_t value)
{
    uint32_t count = mn__list_count(&v->readers, value);
    if (count == 0 || v->is_output[value])
        return v->nodes;
    return mn__list_of(&v->readers, value)[count - 1];
}

mn_status mn__segments_find(const mn__values *values,
                            mn__segment **ret_segments,
                            uint32_t *ret_count,
                            mn_error *err)
{
    uint32_t nodes = values->nodes;
    uint32_t count = 0;
    mn_status status = MN_OK;
    mn__segment *segments = mn_calloc((size_t)nodes + 1, sizeof *segments);
    /* Of the values alive between node n - 1 and n: how many, and the sum of their names. */
    int64_t *crossing = mn_calloc((size_t)nodes + 2, sizeof *crossing);
    int64_t *names = mn_calloc((size_t)nodes + 2, sizeof *names);
    if (segments == NULL || crossing == NULL || names == NULL) {
        status = mn_error_set(err, MN_ERR_NOMEM, "out of memory");
        goto done;
    }
    for (uint32_t x = 0; x < nodes; x++) {
        if (values->value_of[x] != x)
            continue;
        uint32_t from = mn__values_is_made(values, x) ? x + 1 : 0;
        uint32_t to = last_reader(values, x) + 1;
        crossing[from] += 1;
        names[from] += x;
        crossing[to] -= 1;
        names[to] -= x;
    }
    segments[0] = (mn__segment){.first = 0, .incoming = MN_NONE};
    bool works = false; /* the present segment has a node to run */
    for (uint32_t n = 0; n < nodes; n++) {
        crossing[n + 1] += crossing[n];
        names[n + 1] += names[n];
        works = works || mn__values_is_made(values, n);
        if (n + 1 == nodes || !works || crossing[n + 1] != 1 ||
            mn__list_count(&values->hosts, (uint32_t)names[n + 1]) > 0)
            continue;
        segments[count++].end = n + 1;
        segments[count] = (mn__segment){.first = n + 1, .incoming = (uint32_t)names[n + 1]};
        works = false;
    }
    segments[count++].end = nodes;
    *ret_segments = segments;
    *ret_count = count;
    segments = NULL;
done:
    free(segments);
    free(crossing);
    free(names);
    return status;
}

static void add(uint64_t *set, uint32_t bit)
{
    set[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static void add_all(uint64_t *set, const uint64_t *other, uint32_t words)
{
    for (uint32_t w = 0; w < words; w++)
        set[w] |= other[w];
}

static void find_sets(mn__reach *r)
{
    const mn__values *v = r->values;
    uint32_t first = r->segment.first;
    for (uint32_t n = first; n < r->segment.end; n++) {
        uint64_t *before = r->before + (size_t)(n - first) * r->words;
        for (uint32_t i = 0; i < mn__list_count(&v->inputs, n); i++) {
            uint32_t x = mn__list_of(&v->inputs, n)[i];
            if (x < first || !mn__values_is_made(v, x))
                continue;
            add(before, x - first);
            add_all(before, mn__reach_row(r, r->before, x), r->words);
        }
    }
    for (uint32_t x = r->segment.end; x-- > first;) {
        uint64_t *after = r->after + (size_t)(x - first) * r->words;
        uint64_t *readers = r->readers + (size_t)(x - first) * r->words;
        add(after, x - first);
        for (uint32_t i = 0; i < mn__list_count(&v->readers, x); i++) {
            uint32_t reader = mn__list_of(&v->readers, x)[i];
            if (reader >= r->segment.end)
                break;
            add(readers, reader - first);
            add_all(after, mn__reach_row(r, r->after, reader), r->words);
        }
    }
    uint64_t *readers = r->readers + (size_t)r->count * r->words;
    for (uint32_t i = 0;
         r->segment.incoming != MN_NONE && i < mn__list_count(&v->readers, r->segment.incoming);
         i++) {
        uint32_t reader = mn__list_of(&v->readers, r->segment.incoming)[i];
        if (reader >= first && reader < r->segment.end)
            add(readers, reader - first);
    }
}

/* Whether all that read x, but for h, must run before h; with `parts` also all that read what may
 * lie in x, when x is a concat. */
static bool is_read_before(const mn__reach *r, uint32_t x, uint32_t h, bool parts)
{
    const mn__values *v = r->values;
    for (uint32_t i = 0; i < mn__list_count(&v->readers, x); i++) {
        uint32_t other = mn__list_of(&v->readers, x)[i];
        if (other != h && !mn__set_has(mn__reach_row(r, r->before, h), other - r->segment.first))
            return false;
    }
    bool is_concat = mn__values_prim(v, x) == MN_PRIM_CONCAT;
    for (uint32_t i = 0; parts && is_concat && i < mn__list_count(&v->inputs, x); i++) {
        uint32_t y = mn__list_of(&v->inputs, x)[i];
        if (mn__list_count(&v->hosts, y) > 0 && !is_read_before(r, y, h, true))
            return false;
    }
    return true;
}

/* What is known of value x inside host h, whatever the order. */
static uint8_t judge_host(const mn__reach *r, uint32_t x, uint32_t h)
{
    const mn__values *v = r->values;
    bool is_concat = mn__values_prim(v, h) == MN_PRIM_CONCAT;
    if (r->words == 0)
        return is_concat ? 0 : MN__HOST_NEVER;
    for (uint32_t i = 0; i < mn__list_count(&v->readers, x) && !is_concat; i++) {
        uint32_t other = mn__list_of(&v->readers, x)[i];
        if (other != h && mn__set_has(mn__reach_row(r, r->after, h), other - r->segment.first))
            return MN__HOST_NEVER;
    }
    return is_read_before(r, x, h, !is_concat) ? MN__HOST_COVERS : 0;
}

mn_status
mn__reach_find(const mn__values *values, mn__segment segment, mn__reach *reach, mn_error *err)
{
    uint32_t count = segment.end - segment.first;
    reach->values = values;
    reach->segment = segment;
    reach->count = count;
    reach->words = count <= most_nodes_for_sets ? (count + 63) / 64 : 0;
    size_t row = reach->words * sizeof(uint64_t);
    reach->before = mn_calloc(count, row);
    reach->after = mn_calloc(count, row);
    reach->readers = mn_calloc((size_t)count + 1, row);
    uint32_t hosts_from = values->hosts.start[segment.first];
    reach->hosting = mn_calloc((size_t)values->hosts.start[segment.end] - hosts_from, 1);
    if (reach->before == NULL || reach->after == NULL || reach->readers == NULL ||
        reach->hosting == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "out of memory");
    if (reach->words > 0)
        find_sets(reach);
    for (uint32_t x = segment.first; x < segment.end; x++)
        for (uint32_t i = values->hosts.start[x]; i < values->hosts.start[x + 1]; i++)
            reach->hosting[i - hosts_from] = judge_host(reach, x, values->hosts.items[i]);
    return MN_OK;
}

void mn__reach_done(mn__reach *reach)
{
    free(reach->before);
    free(reach->after);
    free(reach->readers);
    free(reach->hosting);
    *reach = (mn__reach){0};
}
