//! A picture of few colours as a PNG: one byte a pixel, which is the number of its colour.

use miniz_oxide::deflate::compress_to_vec_zlib;

/// Red, green, blue, and how much of what is behind it is hidden: 255 for all.
pub type Colour = [u8; 4];

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
const BITS_A_PIXEL: u8 = 8;
const OF_PALETTE: u8 = 3;
/// Among the levels of zlib: the picture is small, and made a few times an hour.
const EFFORT: u8 = 9;

/// Pixels, line by line from the top.
#[derive(Clone, Debug)]
pub struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A canvas of colour 0.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height, pixels: vec![0; (width * height) as usize] }
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// Sets a pixel; outside of the canvas nothing.
    pub fn set(&mut self, x: u32, y: u32, colour: u8) {
        if x < self.width && y < self.height {
            self.pixels[(y * self.width + x) as usize] = colour;
        }
    }

    pub fn get(&self, x: u32, y: u32) -> u8 {
        self.pixels[(y * self.width + x) as usize]
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, xs: std::ops::Range<u32>, ys: std::ops::Range<u32>, colour: u8) {
        for y in ys {
            xs.clone().for_each(|x| self.set(x, y, colour));
        }
    }

    /// The bytes of a file, with at most 256 colours.
    pub fn encode(&self, colours: &[Colour]) -> Vec<u8> {
        let mut file = SIGNATURE.to_vec();
        let mut header = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        // Deflated, filtered line by line, not interlaced.
        header.extend([BITS_A_PIXEL, OF_PALETTE, 0, 0, 0]);
        chunk(&mut file, *b"IHDR", &header);
        let rgb: Vec<u8> = colours.iter().flat_map(|colour| colour[..3].to_vec()).collect();
        chunk(&mut file, *b"PLTE", &rgb);
        let alpha: Vec<u8> = colours.iter().map(|colour| colour[3]).collect();
        chunk(&mut file, *b"tRNS", &alpha);
        let mut lines = Vec::with_capacity(self.pixels.len() + self.height as usize);
        for line in self.pixels.chunks_exact(self.width.max(1) as usize) {
            // Not filtered: numbers of colours are no amounts.
            lines.push(0);
            lines.extend_from_slice(line);
        }
        chunk(&mut file, *b"IDAT", &compress_to_vec_zlib(&lines, EFFORT));
        chunk(&mut file, *b"IEND", &[]);
        file
    }
}

fn chunk(file: &mut Vec<u8>, name: [u8; 4], bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("OK because a canvas is far smaller than 4 GiB");
    file.extend(length.to_be_bytes());
    let begin = file.len();
    file.extend(name);
    file.extend_from_slice(bytes);
    file.extend(crc32fast::hash(&file[begin..]).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_picture_is_a_file_as_the_standard_says() {
        let file = Canvas::new(1, 1).encode(&[[1, 2, 3, 4]]);
        assert_eq!(file[..8], SIGNATURE);
        assert_eq!(file[8..33], *b"\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x03\0\0\0\x28\xcb\x34\xbb");
        // Of the end the checksum is always the same.
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    }

    #[test]
    fn what_is_outside_is_not_drawn() {
        let mut canvas = Canvas::new(2, 2);
        canvas.fill(1..9, 0..9, 7);
        assert_eq!([canvas.get(0, 0), canvas.get(1, 0), canvas.get(1, 1)], [0, 7, 7]);
    }
}
