"""Small tools that every package uses: files, devices, images, run folders."""
