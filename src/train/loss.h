/*
 * Softmax cross-entropy with label smoothing and mixed labels: what training minimises.
 */
#ifndef MN_TRAIN_LOSS_H
#define MN_TRAIN_LOSS_H

#include <stdint.h>

/* What the network should say. The share of class k is smoothing/classes, plus 1 - smoothing for
 * the label; of an image that others were mixed into, lambda of that goes to the label and the rest
 * to the other label. */
typedef struct mn__targets {
    const uint16_t *labels;       /* (count) */
    const uint16_t *other_labels; /* (count) NULL: nothing was mixed, and lambda is not read */
    float lambda;
    float smoothing;
} mn__targets;

/*
 * Mean loss of `count` images and its gradient.
 *
 * logits (batch,classes), gradient (batch,classes): rows past `count` become zero.
 */
double mn__loss(const float *logits,
                const mn__targets *targets,
                uint32_t batch,
                uint32_t count,
                uint32_t classes,
                float *gradient);

/* Cross-entropy of one image without smoothing; *ret_class is the class of the largest logit (the
 * lowest index among equals). */
double mn__classify(const float *logits, uint32_t classes, uint16_t label, uint32_t *ret_class);

#endif
