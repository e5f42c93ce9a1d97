/* The samples that each line of the result is made of, and their weights, computed once for an image. */
#ifndef SHRINK_TAPS_H
#define SHRINK_TAPS_H

#include "types.h"

/* Weights of samples for ``lines`` lines of ``pixels`` pixels; a sample is ``subsampling * reduction`` pixels wide.

   Samples of half the resolution are averaged as if they were interpolated first, as libjpeg does: 3/4 of the nearer
   and 1/4 of the farther neighbour. */
enum outcome make_taps(decoder *jpeg, taps *made, int pixels, int lines, int samples, int subsampling,
                       int reduction);

#endif
