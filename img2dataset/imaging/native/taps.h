/* Which samples make a line of the result, and by what weights: said once for an image. */
#ifndef SHRINK_TAPS_H
#define SHRINK_TAPS_H

#include "types.h"

/* Weights of samples for ``lines`` lines of ``pixels`` pixels; a sample is ``subsampling * reduction`` pixels wide.

   Samples of half the resolution are taken for what they become elsewhere before they are averaged: pixels of
   3/4 the nearer and 1/4 the other neighbour. */
enum outcome make_taps(decoder *all, taps *made, int pixels, int lines, int samples, int subsampling,
                       int reduction);

#endif
