/* The layout of a block's coefficients and their multipliers, computed once for an image. */
#ifndef SHRINK_BLOCKS_H
#define SHRINK_BLOCKS_H

#include <stdint.h>

#include "types.h"

/* A block and one entry for coefficients past its end; zigzag indices that a damaged run of zeros can reach. */
enum { BLOCK_ROOM = 72, ORDER_LENGTH = 64 + 256 };

/* The position of each coefficient in a block, by zigzag index. Blocks are stored column by column, as the transform
   reads them, whole or 4 x 4 only. Coefficients past the end share one entry, which saves a bounds check for each. */
void set_order(const component *part, uint8_t order[ORDER_LENGTH]);

/* From the quantisation table, the reduction, and the bits that were not decoded. */
void set_multipliers(component *part);

#endif
