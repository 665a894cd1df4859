/*
 * Softmax cross-entropy with label smoothing: what training minimises.
 */
#ifndef MN_TRAIN_LOSS_H
#define MN_TRAIN_LOSS_H

#include <stdint.h>

/*
 * Mean loss of `count` images and its gradient.
 *
 * logits (batch,classes), labels (count), gradient (batch,classes): rows past `count` become zero.
 * The target is 1 - smoothing + smoothing/classes for the label and smoothing/classes elsewhere.
 */
double mn__loss(const float *logits,
                const uint16_t *labels,
                uint32_t batch,
                uint32_t count,
                uint32_t classes,
                float smoothing,
                float *gradient);

/* Cross-entropy of one image without smoothing; *ret_class is the class of the largest logit (the
 * lowest index among equals). */
double mn__classify(const float *logits, uint32_t classes, uint16_t label, uint32_t *ret_class);

#endif
