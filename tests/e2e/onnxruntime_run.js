// Runs an ONNX file of one input and one output in ONNX Runtime, on one thread.
//
//     node onnxruntime_run.js FOLDER MODEL DIMS LEVEL IMAGES LOGITS [REPEATS]
//
// FOLDER holds node_modules (tools/onnxruntime.sh). DIMS: of the input, "1,C,H,W". LEVEL: how far
// the runtime may change the graph, "disabled" to "all". IMAGES: raw float32, image after image; LOGITS
// is written likewise; where its name ends in .json it gets every output of the last image instead,
// {name: {dims, data}}. Prints JSON: the names and dimensions of input and output, how many images,
// the version; with REPEATS the microseconds of one inference, the median of that many.
"use strict";
const fs = require("fs");
const path = require("path");

function floats(file) {
    const bytes = fs.readFileSync(file);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

async function main() {
    const [folder, model, shape, level, images, logits, repeats] = process.argv.slice(2);
    const ort = require(path.resolve(folder, "node_modules", "onnxruntime-node"));
    const session = await ort.InferenceSession.create(model, {
        executionMode: "sequential", graphOptimizationLevel: level,
        intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3,
    });
    const name = session.inputNames[0];
    const dims = shape.split(",").map(Number);
    const size = dims.reduce((a, b) => a * b, 1);
    const pixels = floats(images);
    const count = pixels.length / size;
    const feeds = [];
    for (let i = 0; i < count; i++)
        feeds.push({[name]: new ort.Tensor(
            "float32", pixels.subarray(i * size, (i + 1) * size), dims)});
    const run = (i) => session.run(feeds[i]);
    const out = [];
    let result = null;
    let all = null;
    for (let i = 0; i < count; i++) {
        all = await run(i);
        result = all[session.outputNames[0]];
        out.push(Buffer.from(result.data.buffer, result.data.byteOffset, result.data.byteLength));
    }
    const listed = Object.entries(all).map(
        ([key, value]) => [key, {dims: value.dims, data: Array.from(value.data)}]);
    fs.writeFileSync(logits, logits.endsWith(".json") ? JSON.stringify(Object.fromEntries(listed))
        : Buffer.concat(out));
    const said = {
        version: ort.env.versions.node, inputs: session.inputNames, outputs: session.outputNames,
        output_dims: result.dims, count,
    };
    const times = [];
    for (let r = 0; r < Number(repeats || 0); r++) {
        const start = process.hrtime.bigint();
        await run(r % count);
        times.push(Number(process.hrtime.bigint() - start) / 1000);
    }
    if (times.length > 0)
        said.median_us = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
    console.log(JSON.stringify(said));
}

main().catch((error) => {
    console.error(String(error.message || error));
    process.exit(1);
});
