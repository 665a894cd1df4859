/*
 * Measures of rankings. Everything goes through one sort of (value, position) pairs.
 */
#include "rank/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

typedef struct item {
    double value;
    uint32_t at;
} item;

static int larger_first(const void *left, const void *right)
{
    const item *a = left;
    const item *b = right;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Sorted items in fresh memory. */
static mn_status sort(const double *values, uint32_t count, item **ret_items, mn_error *err)
{
    if (count < 2)
        return mn_error_set(err, MN_ERR_ARG, "a ranking of %u values: expected 2 or more", count);
    for (uint32_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return mn_error_set(err, MN_ERR_ARG, "value %u is not a number", i);
    item *items = mn_calloc(count, sizeof *items);
    if (items == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "no room to rank %u values", count);
    for (uint32_t i = 0; i < count; i++)
        items[i] = (item){values[i], i};
    qsort(items, count, sizeof *items, larger_first);
    *ret_items = items;
    return MN_OK;
}

mn_status
mn__order_descending(const double *values, uint32_t count, uint32_t *ret_order, mn_error *err)
{
    item *items = NULL;
    mn_status status = sort(values, count, &items, err);
    for (uint32_t i = 0; status == MN_OK && i < count; i++)
        ret_order[i] = items[i].at;
    free(items);
    return status;
}

/* One past the items that are equal to the one at `first`. */
static uint32_t end_of_equals(const item *items, uint32_t count, uint32_t first)
{
    uint32_t end = first + 1;
    while (end < count && items[end].value == items[first].value)
        end++;
    return end;
}

mn_status mn__mid_ranks(const double *values, uint32_t count, double *ret_ranks, mn_error *err)
{
    item *items = NULL;
    mn_status status = sort(values, count, &items, err);
    for (uint32_t first = 0, end; status == MN_OK && first < count; first = end) {
        end = end_of_equals(items, count, first);
        double rank = count - 0.5 * ((double)first + end - 1.0);
        for (uint32_t i = first; i < end; i++)
            ret_ranks[items[i].at] = rank;
    }
    free(items);
    return status;
}

/* The quantile function of the standard normal distribution by bisection of erfc: exact to the last
 * digits, and fast enough for some thousand values. */
static double normal_quantile(double share)
{
    double low = -9.0;
    double high = 9.0;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (low + high);
        if (0.5 * erfc(-middle * M_SQRT1_2) < share)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

mn_status mn__normal_scores(const double *values, uint32_t count, double *ret_scores, mn_error *err)
{
    mn_status status = mn__mid_ranks(values, count, ret_scores, err);
    for (uint32_t i = 0; status == MN_OK && i < count; i++)
        ret_scores[i] = normal_quantile((ret_scores[i] - 0.5) / count);
    return status;
}

/* Sorts values[0..count) ascending by merging and counts the pairs that it puts right. */
static double merge_sort(double *values, double *spare, uint32_t count)
{
    if (count < 2)
        return 0.0;
    uint32_t half = count / 2;
    double swaps = merge_sort(values, spare, half) + merge_sort(values + half, spare, count - half);
    uint32_t i = 0;
    uint32_t j = half;
    for (uint32_t k = 0; k < count; k++) {
        if (j >= count || (i < half && values[i] <= values[j])) {
            spare[k] = values[i++];
        } else {
            spare[k] = values[j++];
            swaps += half - i;
        }
    }
    memcpy(values, spare, count * sizeof *values);
    return swaps;
}

static double pairs(double count)
{
    return 0.5 * count * (count - 1.0);
}

/* Pairs of equals among sorted values. */
static double tied_pairs(const double *sorted, uint32_t count)
{
    double sum = 0.0;
    for (uint32_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && sorted[end] == sorted[first];)
            end++;
        sum += pairs(end - first);
    }
    return sum;
}

/* Knight: after a sort by a, and by b among equals of a, discordant pairs are the swaps that sort
 * b. `items` are sorted by a; `column` and `spare` have room for count values. */
static double
knight(const item *items, const double *b, uint32_t count, double *column, double *spare)
{
    double tied_a = 0.0;
    double tied_both = 0.0;
    for (uint32_t first = 0, end; first < count; first = end) {
        end = end_of_equals(items, count, first);
        /* items fall, columns are to rise with a: filled from the end */
        double *group = column + (count - end);
        for (uint32_t i = first; i < end; i++)
            group[i - first] = b[items[i].at];
        (void)merge_sort(group, spare, end - first);
        tied_a += pairs(end - first);
        tied_both += tied_pairs(group, end - first);
    }
    double discordant = merge_sort(column, spare, count);
    double tied_b = tied_pairs(column, count);
    double all = pairs(count);
    double scale = sqrt((all - tied_a) * (all - tied_b));
    return scale > 0.0 ? (all - tied_a - tied_b + tied_both - 2.0 * discordant) / scale : 0.0;
}

mn_status
mn__kendall_tau(const double *a, const double *b, uint32_t count, double *ret_tau, mn_error *err)
{
    item *items = NULL;
    double *room = NULL;
    mn_status status = sort(b, count, &items, err); /* b is checked; its order is not needed */
    free(items);
    items = NULL;
    if (status == MN_OK)
        status = sort(a, count, &items, err);
    if (status == MN_OK && (room = mn_calloc(count, 2 * sizeof *room)) == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "no room to rank %u values", count);
    if (status == MN_OK)
        *ret_tau = knight(items, b, count, room, room + count);
    free(room);
    free(items);
    return status;
}

mn_status
mn__spearman(const double *a, const double *b, uint32_t count, double *ret_rho, mn_error *err)
{
    double *ranks = mn_calloc(count, 2 * sizeof *ranks);
    if (ranks == NULL)
        return mn_error_set(err, MN_ERR_NOMEM, "no room to rank %u values", count);
    mn_status status = mn__mid_ranks(a, count, ranks, err);
    if (status == MN_OK)
        status = mn__mid_ranks(b, count, ranks + count, err);
    double ab = 0.0;
    double aa = 0.0;
    double bb = 0.0;
    for (uint32_t i = 0; status == MN_OK && i < count; i++) {
        double x = ranks[i] - 0.5 * (count + 1.0);
        double y = ranks[count + (size_t)i] - 0.5 * (count + 1.0);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    if (status == MN_OK)
        *ret_rho = aa > 0.0 && bb > 0.0 ? ab / (sqrt(aa) * sqrt(bb)) : 0.0;
    free(ranks);
    return status;
}

/* The worth of each candidate (k - true place, from k to 1, else 0), in the order of the scores. */
static mn_status worths(const double *scores,
                        const double *truth,
                        uint32_t count,
                        uint32_t k,
                        uint32_t **ret_worths,
                        mn_error *err)
{
    item *by_score = NULL;
    item *by_truth = NULL;
    uint32_t *room = NULL;
    mn_status status = sort(scores, count, &by_score, err);
    if (status == MN_OK)
        status = sort(truth, count, &by_truth, err);
    if (status == MN_OK && k == 0)
        status = mn_error_set(err, MN_ERR_ARG, "the first 0 of a ranking: expected 1 or more");
    if (status == MN_OK && (room = mn_calloc(count, 2 * sizeof *room)) == NULL)
        status = mn_error_set(err, MN_ERR_NOMEM, "no room to rank %u values", count);
    for (uint32_t p = 0; status == MN_OK && p < count && p < k; p++)
        room[count + (size_t)by_truth[p].at] = k - p;
    for (uint32_t i = 0; status == MN_OK && i < count; i++)
        room[i] = room[count + (size_t)by_score[i].at];
    if (status == MN_OK) {
        *ret_worths = room;
        room = NULL;
    }
    free(room);
    free(by_truth);
    free(by_score);
    return status;
}

mn_status mn__average_precision(const double *scores,
                                const double *truth,
                                uint32_t count,
                                uint32_t k,
                                double *ret_value,
                                mn_error *err)
{
    uint32_t *worth = NULL;
    uint32_t first = k < count ? k : count;
    mn_status status = worths(scores, truth, count, first, &worth, err);
    uint32_t hits = 0;
    double sum = 0.0;
    for (uint32_t i = 0; status == MN_OK && i < first; i++)
        if (worth[i] > 0)
            sum += (double)++hits / (i + 1.0);
    if (status == MN_OK)
        *ret_value = sum / first;
    free(worth);
    return status;
}

mn_status mn__ndcg(const double *scores,
                   const double *truth,
                   uint32_t count,
                   uint32_t k,
                   double *ret_value,
                   mn_error *err)
{
    uint32_t *worth = NULL;
    uint32_t first = k < count ? k : count;
    mn_status status = worths(scores, truth, count, first, &worth, err);
    double gained = 0.0;
    double ideal = 0.0;
    for (uint32_t i = 0; status == MN_OK && i < first; i++) {
        double discount = log2(i + 2.0);
        gained += worth[i] / discount;
        ideal += (first - i) / discount;
    }
    if (status == MN_OK)
        *ret_value = gained / ideal;
    free(worth);
    return status;
}
