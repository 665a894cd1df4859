/*
 * What a training costs beside another one of the same network.
 */
#ifndef MN_SEARCH_WORK_H
#define MN_SEARCH_WORK_H

#include "search/session.h"

/* In training images: what `epochs` epochs train on, `images` each (at most all there are), and
 * what judges them. */
double mn__training_work(const mn__session *session, uint32_t images, uint32_t epochs);

#endif
