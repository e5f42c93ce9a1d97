/* How the coefficients of a block lie, and by what they are multiplied: said once for an image. */
#ifndef SHRINK_BLOCKS_H
#define SHRINK_BLOCKS_H

#include <stdint.h>

#include "types.h"

/* Of a block and a place for what lies past its end; and as many zigzag places as a wrong run of zeros may reach. */
enum { BLOCK_ROOM = 72, ORDER_LENGTH = 64 + 256 };

/* Where each coefficient of ``part`` goes, by zigzag place: blocks lie column after column, as the transform wants
   them, whole or 4 x 4 only. What lies past the end goes to a place of its own, so that nothing need be asked. */
void set_order(const component *part, uint8_t order[ORDER_LENGTH]);

/* From the quantisation, the reduction, and the bits that were left out. */
void set_multipliers(component *part);

#endif
