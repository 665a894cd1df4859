/*
 * Softmax cross-entropy. Sums in double; the largest logit is taken out first, so nothing
 * overflows.
 */
#include "train/loss.h"

#include <math.h>
#include <string.h>

static double log_sum_exp(const float *logits, uint32_t classes)
{
    float largest = logits[0];
    for (uint32_t k = 1; k < classes; k++)
        largest = logits[k] > largest ? logits[k] : largest;
    double sum = 0.0;
    for (uint32_t k = 0; k < classes; k++)
        sum += exp((double)logits[k] - (double)largest);
    /* The largest logit alone adds one. */
    return log(sum) + (double)largest; /* cppcheck-suppress invalidFunctionArg */
}

double mn__loss(const float *logits,
                const mn__targets *targets,
                uint32_t batch,
                uint32_t count,
                uint32_t classes,
                float *gradient)
{
    double total = 0.0;
    double elsewhere = (double)targets->smoothing / classes;
    double sure = 1.0 - (double)targets->smoothing;
    const uint16_t *labels = targets->labels;
    const uint16_t *others = targets->other_labels;
    double share = others == NULL ? 1.0 : (double)targets->lambda;
    memset(gradient, 0, (size_t)batch * classes * sizeof *gradient);
    for (uint32_t n = 0; n < count; n++) {
        const float *row = logits + (size_t)n * classes;
        double norm = log_sum_exp(row, classes);
        for (uint32_t k = 0; k < classes; k++) {
            double log_p = (double)row[k] - norm;
            double target = elsewhere + (k == labels[n] ? share * sure : 0.0);
            if (others != NULL && k == others[n])
                target += (1.0 - share) * sure;
            total -= target * log_p;
            gradient[(size_t)n * classes + k] = (float)((exp(log_p) - target) / count);
        }
    }
    return total / count;
}

double mn__classify(const float *logits, uint32_t classes, uint16_t label, uint32_t *ret_class)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < classes; k++)
        best = logits[k] > logits[best] ? k : best;
    *ret_class = best;
    return log_sum_exp(logits, classes) - (double)logits[label];
}
