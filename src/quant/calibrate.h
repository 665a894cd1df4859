/*
 * What calibration measures on the float32 network: the range of every value and the mean of every
 * channel.
 */
#ifndef MN_QUANT_CALIBRATE_H
#define MN_QUANT_CALIBRATE_H

#include "memnet/quantize.h"
#include "quant/float_run.h"

typedef struct mn__calibration {
    uint32_t nodes;
    float *low, *high;  /* (nodes) over images; low > high where no kernel made the value */
    size_t *channel_at; /* (nodes) where the node's channels begin in `means` */
    double *means;      /* of every channel of every value, over images and pixels */
    bool *has_means;    /* (nodes) not where a reshape has mixed pixels and channels */
} mn__calibration;

/* Measures. `ret` starts zeroed and is emptied with mn__calibration_done() whatever the outcome.
 * Depends on images and options only, not on opts->threads. MN_ERR_UNSUPPORTED names a node of
 * which a number is not finite. */
mn_status mn__calibrate(const mn__float_network *network,
                        const mn_quantize_input *input,
                        const mn_quantize_opts *opts,
                        mn__calibration *ret,
                        mn_error *err);
void mn__calibration_done(mn__calibration *calibration);

#endif
